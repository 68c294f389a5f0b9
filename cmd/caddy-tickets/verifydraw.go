package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "verify-draw",
		Short: "Recomputes the draw of a room from what is public",
		Long: `Recomputes the draw that turned a lobby into places, from the record and the cohort
that the site publishes or from copies of them, and says line by line what it checked.
Anybody can run it; it needs no access to the site's servers.

  caddy-tickets verify-draw https://tickets.example.com --room arena
  caddy-tickets verify-draw https://tickets.example.com --room arena --before kept.json
  caddy-tickets verify-draw --record draw.json --cohort cohort.bin

With --before it compares with a record that you kept from before the draw, which is
the only way to see that the rules were not changed since. With --visitor it looks one
fan up, and with --score it compares the score that this fan was given. Status 1 if
anything does not hold.`,
		CobraFunc: func(cmd *cobra.Command) {
			var v verification
			var asJSON bool
			cmd.Use = "verify-draw [<site>]"
			cmd.Args = cobra.MaximumNArgs(1)
			f := cmd.Flags()
			f.StringVar(&v.room, "room", "arena", "waiting room")
			f.StringVar(&v.recordFile, "record", "", "a copy of the record, instead of the site's")
			f.StringVar(&v.cohortFile, "cohort", "", "a copy of the cohort, instead of the site's")
			f.StringVar(&v.beforeFile, "before", "", "a copy of the record from before the draw")
			f.StringVar(&v.visitor, "visitor", "", "also look up this visitor")
			f.Uint64Var(&v.score, "score", 0, "the score that this visitor was given")
			f.BoolVar(&asJSON, "json", false, "as JSON, for scripts")
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 1 {
					v.site = args[0]
				}
				v.scored = f.Changed("score")
				if err := v.complete(); err != nil {
					return err
				}
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				found, err := v.run(ctx, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				if asJSON {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(found)
				} else {
					err = found.print(cmd.OutOrStdout())
				}
				if err == nil && !found.Holds {
					err = errDraw
				}
				return err
			}
		},
	})
}

// errDraw ends the command with status 1.
var errDraw = errors.New("the draw does not hold; what is wrong is listed above")

// verification is what was asked for.
type verification struct {
	site, room, recordFile, cohortFile, beforeFile, visitor string
	score                                                   uint64
	scored                                                  bool
	who                                                     place.Visitor
}

// complete says what is missing.
func (v *verification) complete() (err error) {
	switch {
	case v.site == "" && (v.recordFile == "" || v.cohortFile == ""):
		return errors.New("name the site, such as https://tickets.example.com, or both --record and --cohort")
	case v.scored && v.visitor == "":
		return errors.New("--score needs --visitor: whose score is it?")
	case v.visitor == "":
		return nil
	}
	if v.who, err = place.ParseVisitor(v.visitor); err != nil {
		return fmt.Errorf("--visitor %q: %w: it has 22 letters, digits, - and _", v.visitor, err)
	}
	return nil
}

// finding is what became of it.
type finding struct {
	Room    string      `json:"room"`
	Holds   bool        `json:"holds"`
	Record  draw.Record `json:"-"`
	Entrant *entrant    `json:"entrant,omitempty"`
	*draw.Report
}

// entrant is the visitor that was looked up.
type entrant struct {
	Visitor string      `json:"visitor"`
	Tier    place.Tier  `json:"tier"`
	Score   place.Score `json:"score"` // that the draw gives
	Rank    int         `json:"rank"`  // among all who were drawn, from 1
}

func (f *finding) check(what, wrong string) {
	f.Checks = append(f.Checks, draw.Check{What: what, Wrong: wrong})
}

// lookUp finds the visitor and where in the order the draw put them.
func (f *finding) lookUp(c *draw.Cohort, v *verification) {
	own, found := c.Find(v.who)
	if !found {
		f.check("The visitor took part.", fmt.Sprintf("visitor %s is not in the cohort: they did not take part in the draw, or were left out", v.visitor))
		return
	}
	proof, err := c.Prove(v.who)
	if err == nil {
		err = proof.Check(own, *f.Record.Root)
	}
	if err != nil {
		f.check("The visitor took part.", fmt.Sprintf("visitor %s is in the file, and not in what was frozen: %v", v.visitor, err))
	} else {
		f.check(fmt.Sprintf("Visitor %s took part, in tier %d.", v.visitor, own.Tier), "")
	}
	f.Entrant = &entrant{Visitor: v.visitor, Tier: own.Tier, Score: f.Record.Score(own), Rank: 1}
	for _, other := range c.Entrants() {
		// Of two with one score the visitor decides, as in the queue.
		if s := f.Record.Score(other); s < f.Entrant.Score || s == f.Entrant.Score && string(other.Visitor[:]) < string(own.Visitor[:]) {
			f.Entrant.Rank++
		}
	}
	if v.scored && place.Score(v.score) != f.Entrant.Score {
		f.check("Their score is the one that was drawn.", fmt.Sprintf("the score of visitor %s was changed: it is %d, and %d was drawn", v.visitor, v.score, f.Entrant.Score))
	} else if v.scored {
		f.check(fmt.Sprintf("Their score is the one that was drawn: %d.", v.score), "")
	}
}

func (f *finding) print(to io.Writer) error {
	out := &printer{to: to}
	r := f.Record
	out.line("The draw of room %q", f.Room)
	out.line("  lobby    %s to %s", utc(r.LobbyOpens), utc(r.Opens))
	if r.Frozen() {
		out.line("  frozen   %s, %d entrants", utc(r.FrozenAt), *r.Count)
	}
	if r.Finished() {
		out.line("  drawn    %s", utc(r.DrawnAt))
	}
	switch b := r.Beacon; {
	case b.Source == "":
		out.line("  beacon   none")
	case b.Missed:
		out.line("  beacon   %s, missed", b.Source)
	default:
		out.line("  beacon   %s", b.Source)
	}
	out.line("")
	for _, c := range f.Checks {
		if c.Wrong == "" {
			out.line("  holds    %s", c.What)
		} else {
			out.line("  WRONG    %s", c.Wrong)
		}
	}
	if e := f.Entrant; e != nil {
		out.line("\nVisitor %s was drawn as number %d of %d, with score %d.", e.Visitor, e.Rank, *r.Count, e.Score)
	}
	if len(f.Remarks) > 0 {
		out.line("\nWhat this cannot show:")
	}
	for _, remark := range f.Remarks {
		out.line("  - %s", remark)
	}
	if f.Holds {
		out.line("\nEverything holds: from these files this order follows and no other.")
	}
	return out.err
}

// printer writes lines, and remembers the first error of writing.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.to, strings.Map(printable, fmt.Sprintf(format, args...)))
	}
}

// printable keeps a site from writing to the terminal more than text.
func printable(r rune) rune {
	if r != '\n' && unicode.IsControl(r) {
		return -1
	}
	return r
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "at a time that is not told"
	}
	return t.UTC().Format("2006-01-02 15:04:05 MST")
}

// watched says whether a person looks at what is written.
func watched(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
