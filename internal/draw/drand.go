package draw

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Drand is a round of a network of drand, the public randomness that many run
// together: a value every few seconds, known to nobody before its time. Round 1
// came at the network's genesis and the next each a period later, so everybody
// can tell in advance which round will be the first after a draw's opening.
type Drand struct {
	Network string
	Round   int64
}

type network struct {
	hash    string // of its parameters; the name of the network in addresses
	genesis int64  // Unix seconds
	period  int64  // seconds
}

const quicknet = "quicknet"

var networks = map[string]network{
	quicknet:  {"52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971", 1692803367, 3},
	"default": {"8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce", 1595431050, 30},
}

const (
	// drandAfter leaves time to freeze a large cohort before its round is out.
	drandAfter = 30 * time.Second
	// drandWithin is how long the draw waits: long enough for an outage of one
	// relay, and not so long that a sale waits for it in vain.
	drandWithin = 5 * time.Minute
)

// DrandAfter is the beacon of a draw that opens then.
func DrandAfter(opens time.Time) Beacon {
	n := networks[quicknet]
	d := Drand{quicknet, max(0, opens.Add(drandAfter).Unix()-n.genesis)/n.period + 2} // the first after, never the one at that second
	return Beacon{Source: fmt.Sprintf("drand %s round %d", d.Network, d.Round), URL: d.URL(), Within: int(drandWithin / time.Second)}
}

var drandSource = regexp.MustCompile(`(?i)^\s*drand\s+(?:([a-z-]+)\s+)?round\s+([0-9]{1,15})\s*$`)

// Drand reads the round out of the source's words, such as "drand quicknet round
// 30000000"; without a name it is quicknet's.
func (b Beacon) Drand() (d Drand, found bool) {
	parts := drandSource.FindStringSubmatch(b.Source)
	if parts == nil {
		return Drand{}, false
	}
	d.Network = strings.ToLower(parts[1])
	if d.Network == "" {
		d.Network = quicknet
	}
	d.Round, _ = strconv.ParseInt(parts[2], 10, 64) // digits, and few enough
	_, found = networks[d.Network]
	return d, found && d.Round > 0
}

// Time is when the round comes out.
func (d Drand) Time() time.Time {
	n := networks[d.Network]
	return time.Unix(n.genesis+(d.Round-1)*n.period, 0).UTC()
}

// URL is where it can be looked up.
func (d Drand) URL() string {
	return fmt.Sprintf("https://api.drand.sh/%s/public/%d", networks[d.Network].hash, d.Round)
}
