//go:build shots

package shop

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// TestShots takes pictures of the pages for people to look at:
//
//	SHOTS=/tmp/shots go test -tags shots -run TestShots ./web/shop
func TestShots(t *testing.T) {
	folder := browsertest.Shots(t)
	for name, play := range map[string]func(s *stage, b *tab){
		"picker": func(s *stage, b *tab) { b.picker() },
		"chosen": func(s *stage, b *tab) {
			b.picker()
			b.Do("choosing", chromedp.Click("#choose"))
			b.Until("chosen", `!document.getElementById("hold").disabled`)
		},
		"middle": func(s *stage, b *tab) {
			b.picker()
			for range 5 {
				b.Do("zooming", chromedp.Click("#in"))
			}
		},
		"taken": func(s *stage, b *tab) {
			b.picker()
			seats := []string{b.freeSeat(0), b.freeSeat(1)}
			for _, seat := range seats {
				b.Until("selected", `seatmap.select("`+seat+`")`)
			}
			s.set(mapframe.Held, seats[0])
			b.Until("told", browsertest.Seen("say"))
		},
		"list": func(s *stage, b *tab) {
			b.picker()
			b.Do("opening", chromedp.Click("#list summary"))
		},
		"checkout": func(s *stage, b *tab) { b.checkout() },
		"wrong": func(s *stage, b *tab) {
			b.checkout()
			b.Do("paying nothing", chromedp.Click("#pay"))
		},
		"declined": func(s *stage, b *tab) {
			b.checkout()
			b.buyer("tok_declined")
			b.Do("paying", chromedp.Click("#pay"))
			b.Until("told", browsertest.Seen("say"))
		},
		"pending": func(s *stage, b *tab) {
			s.change(func() { s.pending = 1000 })
			b.checkout()
			b.buyer("tok_pending")
			b.Do("paying", chromedp.Click("#pay"))
			b.Until("pending", `document.body.dataset.state === "pending"`)
		},
		"expired": func(s *stage, b *tab) {
			s.change(func() { s.holdTime = 2 * time.Second })
			b.checkout()
			b.Until("over", browsertest.Seen("again"))
		},
		"booking": func(s *stage, b *tab) {
			b.checkout()
			b.buyer("tok_ok")
			b.Do("paying", chromedp.Click("#pay"))
			b.Until("booked", `document.body.dataset.state === "booked"`)
		},
		"resume": func(s *stage, b *tab) {
			b.checkout()
			b.picker()
			b.Until("resumed", browsertest.Seen("resume"))
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
			b.Open("/checkout/h_1")
			b.Until("told", browsertest.Seen("again"))
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
					b.Screen(dims[0], dims[1], scheme)
					play(s, b)
					b.Value(`new Promise(done => setTimeout(done, 300))`)
					b.Shot(folder, name+"-"+size+"-"+scheme, chromedp.CaptureScreenshot())
				})
			}
		}
	}
}
