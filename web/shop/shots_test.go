//go:build shots

package shop

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// TestShots takes pictures of the pages for people to look at:
//
//	SHOTS=/tmp/shots go test -tags shots -run TestShots ./web/shop
func TestShots(t *testing.T) {
	folder := os.Getenv("SHOTS")
	if folder == "" {
		t.Fatal("set SHOTS to a folder")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, play := range map[string]func(s *stage, b *tab){
		"picker": func(s *stage, b *tab) { b.picker() },
		"chosen": func(s *stage, b *tab) {
			b.picker()
			b.do("choosing", chromedp.Click("#choose"))
			b.until("chosen", `!document.getElementById("hold").disabled`)
		},
		"middle": func(s *stage, b *tab) {
			b.picker()
			for range 5 {
				b.do("zooming", chromedp.Click("#in"))
			}
		},
		"taken": func(s *stage, b *tab) {
			b.picker()
			seats := []string{b.freeSeat(0), b.freeSeat(1)}
			for _, seat := range seats {
				b.until("selected", `seatmap.select("`+seat+`")`)
			}
			s.set(mapframe.Held, seats[0])
			b.until("told", seen("say"))
		},
		"list": func(s *stage, b *tab) {
			b.picker()
			b.do("opening", chromedp.Click("#list summary"))
		},
		"checkout": func(s *stage, b *tab) { b.checkout() },
		"wrong": func(s *stage, b *tab) {
			b.checkout()
			b.do("paying nothing", chromedp.Click("#pay"))
		},
		"declined": func(s *stage, b *tab) {
			b.checkout()
			b.buyer("tok_declined")
			b.do("paying", chromedp.Click("#pay"))
			b.until("told", seen("say"))
		},
		"pending": func(s *stage, b *tab) {
			s.change(func() { s.pending = 1000 })
			b.checkout()
			b.buyer("tok_pending")
			b.do("paying", chromedp.Click("#pay"))
			b.until("pending", `document.body.dataset.state === "pending"`)
		},
		"expired": func(s *stage, b *tab) {
			s.change(func() { s.holdTime = 2 * time.Second })
			b.checkout()
			b.until("over", seen("again"))
		},
		"booking": func(s *stage, b *tab) {
			b.checkout()
			b.buyer("tok_ok")
			b.do("paying", chromedp.Click("#pay"))
			b.until("booked", `document.body.dataset.state === "booked"`)
		},
		"resume": func(s *stage, b *tab) {
			b.checkout()
			b.picker()
			b.until("resumed", seen("resume"))
		},
		"soldout": func(s *stage, b *tab) {
			s.change(func() {
				bits := make([]byte, mapframe.BitsLen(len(s.venue.cells)))
				for i := range bits {
					bits[i] = 0b10101010
				}
				s.reset(2, bits)
				s.recount()
			})
			b.picker()
		},
		"unreachable": func(s *stage, b *tab) {
			s.fail("get", &problem.Problem{Code: "hold-unknown", Status: http.StatusNotFound, Title: "There is no such hold"})
			b.open("/checkout/h_1")
			b.until("told", seen("again"))
		},
	} {
		for _, scheme := range []string{"light", "dark"} {
			for size, dims := range map[string][2]int64{"phone": {390, 844}, "desktop": {1280, 900}} {
				t.Run(fmt.Sprintf("%s-%s-%s", name, size, scheme), func(t *testing.T) {
					v := stadium()
					if name == "chosen" && size == "phone" {
						v = hall()
					}
					s := newStage(t, v)
					dice := rand.New(rand.NewPCG(1, 2))
					var held, booked []string
					for _, c := range v.cells {
						switch n := dice.IntN(100); {
						case n < 8:
							held = append(held, c.ID)
						case n < 30:
							booked = append(booked, c.ID)
						}
					}
					s.set(mapframe.Held, held...)
					s.set(mapframe.Booked, booked...)
					b := openTab(t, s)
					call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: dims[0], Height: dims[1], DeviceScaleFactor: 1, Mobile: size != "desktop"})
					call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
					play(s, b)
					b.value(`new Promise(done => setTimeout(done, 300))`)
					picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(folder, name+"-"+size+"-"+scheme+".png"), picture, 0o644); err != nil {
						t.Fatal(err)
					}
				})
			}
		}
	}
}
