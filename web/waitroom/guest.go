package waitroompage

import (
	"bytes"
	_ "embed" // for the template
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// Note is a small page without a script: a few sentences and at most one button. A
// link that is good for one use shows one first, because mail scanners and previews
// open links, and only people press buttons.
type Note struct {
	Head  string
	Texts []string

	Button string // empty for none
	Action string // where it posts to

	Link string // an address to copy, empty for none
	Home string // local path to the site, empty for none
}

//go:embed guest.html
var noteSource string

//go:embed guest.css
var noteStyle string

var note = template.Must(template.New("note").Parse(noteSource))

// RenderNote writes the page.
func RenderNote(w io.Writer, n Note) error {
	var out bytes.Buffer // a page that cannot be drawn is not sent in half
	err := note.Execute(&out, struct {
		Note
		Style string
	}{n, stylePath()})
	if err != nil {
		return fmt.Errorf("drawing a small page: %w", err)
	}
	_, err = out.WriteTo(w)
	return err
}

// InvitationNote offers what an invitation gives: a way in past the queue, or a
// place in a tier.
func InvitationNote(tier string, expires time.Time, session time.Duration, action string) Note {
	once := "It can be used once, until " + when(expires) + "."
	if tier == "" {
		return Note{
			Head: "You are invited",
			Texts: []string{
				"This link lets one person in past the queue. " + once,
				"Press the button when you are ready: your time inside, " + between(int64(session.Seconds()), int64(session.Seconds())) + ", begins then.",
			},
			Button: "Go in", Action: action,
		}
	}
	return Note{
		Head:   "You are invited",
		Texts:  []string{"This link gives one person a place in the queue “" + tier + "”. " + once},
		Button: "Take the place", Action: action,
	}
}

// DeviceNote offers to take a place to this device. Other says that this device has
// a place of its own.
func DeviceNote(other bool, expires time.Time, action string) Note {
	n := Note{
		Head: "Continue on this device",
		Texts: []string{
			"Your place in the queue comes to this device as well. " + onePlace,
			"The link can be used once, until " + when(expires) + ". Only use one that you have asked for yourself: whoever sends you theirs shares the place with you.",
		},
		Button: "Continue on this device", Action: action,
	}
	if other {
		n.Texts = append(n.Texts, "This browser has a place of its own in this queue. It keeps only one: the other one is given up.")
	}
	return n
}

// DeviceLinkNote shows the link to a browser without scripts.
func DeviceLinkNote(link string, expires time.Time, home string) Note {
	return Note{
		Head: "Open this link on your other device",
		Texts: []string{
			"It can be used once, until " + when(expires) + ". Give it to nobody else: it is your place.",
			onePlace,
		},
		Link: link, Home: home,
	}
}

// tierWords say which tier a fan is in. The name is the operator's.
var tierWords = map[string]string{"mine": "You are in the queue", "ahead": "Let in before you:"}

// tiers says in words where a fan stands among the tiers; the script does the same.
func tiers(mine string, ahead []string) string {
	var said []string
	if mine != "" {
		said = append(said, tierWords["mine"]+" “"+mine+"”.")
	}
	if len(ahead) > 0 {
		said = append(said, tierWords["ahead"]+" “"+strings.Join(ahead, "”, “")+"”.")
	}
	return strings.Join(said, " ")
}

// moveWords are those of taking a place to another device.
var moveWords = map[string]string{
	"until": "Open this link on your other device. It can be used once, until", "copied": "Copied", "copy": "Copy the link",
}

// onePlace is what having a place on two devices means.
const onePlace = "Both devices then hold the same place: there is one turn and one visit, and who leaves on one has left on both."

func when(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") }
