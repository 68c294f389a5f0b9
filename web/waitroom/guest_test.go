package waitroompage

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestSmallPagesSayWhatTheirButtonDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		note Note
		says []string
		not  string
	}{
		"past the queue":      {InvitationNote("", noon, 10*time.Minute, "/go?t=1"), []string{"past the queue", "used once, until 1 December 2026, 12:00 UTC", "about 10 minutes", `action="/go?t=1"`, "<button>Go in</button>"}, "another"},
		"to a tier":           {InvitationNote("<Members>", noon, time.Minute, "/go"), []string{"“&lt;Members&gt;”", "<button>Take the place</button>"}, "<Members>"},
		"another device":      {DeviceNote(false, noon, "/take"), []string{"hold the same place", "asked for yourself", "<button>Continue on this device</button>"}, "place of its own"},
		"with a place of its": {DeviceNote(true, noon, "/take"), []string{"given up"}, "“"},
		"the link itself":     {DeviceLinkNote("https://a/b?t=c", noon, "/seats"), []string{"https://a/b?t=c", "used once", `href="/seats"`}, "<button>"},
	} {
		var out bytes.Buffer
		if err := RenderNote(&out, c.note); err != nil {
			t.Fatal(err)
		}
		html := out.String()
		for _, want := range c.says {
			if !strings.Contains(html, want) {
				t.Errorf("%s: no %q in\n%s", name, want, html)
			}
		}
		if strings.Contains(html, c.not) {
			t.Errorf("%s: says %q", name, c.not)
		}
		if strings.Contains(html, "<script") || FindAsset(stylePath()) == nil || !strings.Contains(html, stylePath()) {
			t.Errorf("%s: a script, or no style", name)
		}
	}
}
