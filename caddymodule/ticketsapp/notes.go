package ticketsapp

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Note is a sentence for the operator: what is unusual, what it means, and what to do
// where something is to be done. The commands and the dashboard show the same ones.
type Note struct {
	Bad  bool   `json:"bad"` // somebody should look
	Text string `json:"text"`
}

// stockOld is when a count of seats no longer holds admission back.
const stockOld = 30 * time.Second

// notes are what is to be said of a room, the worst first.
func notes(rep *Report, now time.Time) []Note {
	all := []Note{}
	bad := func(format string, a ...any) { all = append(all, Note{true, fmt.Sprintf(format, a...)}) }
	note := func(format string, a ...any) { all = append(all, Note{false, fmt.Sprintf(format, a...)}) }

	switch rep.Held {
	case room.HeldRedisAway:
		bad("Redis is away. Fans keep their places; nobody is let in until it is back. Do not restart the edges meanwhile.")
	case room.HeldSettling:
		bad("Redis came back without its data. Places are being entered again; nobody is let in until the order is whole.")
	case room.HeldUnwell:
		bad("%d of %d edges find the site behind the room unwell%s. Nobody is let in; it goes on by itself.", rep.EdgesUnwell, rep.Edges, because(rep.SiteWhy))
	case room.Held(room.Paused):
		bad("The room is paused%s. Nobody is let in until: caddy-tickets room resume %s", pausedBy(rep.Orders), rep.Room)
	case room.HeldNoStock:
		note("Nobody is let in at the moment: nothing is free. What is held may come back.")
	case room.HeldSpokenFor:
		note("Nobody is let in at the moment: those inside want all that is left.")
	case room.HeldFull:
		note("Nobody is let in at the moment: all %d passes are in use.", rep.ActiveCap)
	}
	switch {
	case rep.Held == room.HeldUnwell:
	case rep.SiteUnwell:
		bad("This edge finds the site behind the room unwell%s. Most others do not, so admission goes on: look at this edge's way to the site.", because(rep.SiteWhy))
	case rep.EdgesUnwell > 0:
		bad("%d of %d edges find the site behind the room unwell. Most do not, so admission goes on: ask the others for their room status.", rep.EdgesUnwell, rep.Edges)
	}
	if rep.Stranded > 0 {
		bad("%d fans came into a lobby and wait for a draw that this edge's file does not make. They are not let in, and those of later tiers neither: load a file with opens, lobby and method lottery again.", rep.Stranded)
	}
	if d := rep.Draw; d != nil && rep.State == string(room.Drawing) {
		drawing(d, bad, note)
	}
	if len(rep.Differences) > 0 {
		var differ []string
		for _, d := range rep.Differences {
			differ = append(differ, fmt.Sprintf("%s is %s (here %s)", d.Setting, d.InForce, d.Here))
		}
		bad("In force is something else than this edge's file says: %s. Another edge or an operator changed it later; the next file that is loaded anywhere decides.", strings.Join(differ, ", "))
	}
	switch {
	case rep.Inventory && rep.Stock == nil:
		bad("The seat service has not said what is left. Until it does, stock holds nobody back.")
	case rep.Stock != nil && now.Sub(rep.Stock.At) > stockOld:
		bad("The seat service does not answer: its counts are %v old and hold nobody back.", now.Sub(rep.Stock.At).Round(time.Second))
	}
	for _, fault := range rep.LogFaults {
		bad("The log of orders was changed by somebody else: %s. Look at: caddy-tickets room log %s", fault, rep.Room)
	}
	return all
}

// drawing says what the queue waits for between the lobby and the first admission.
func drawing(d *room.DrawState, bad, note func(string, ...any)) {
	switch {
	case d.Trouble != "":
		bad("The draw cannot go on: %s. Every place in it is safe, and nobody is let in until it is done.", d.Trouble)
	case d.Stage == room.DrawFrozen && d.Beacon != "":
		note("The draw of %d entrants waits for its beacon: %s.", d.Entrants, d.Beacon)
	default:
		note("The draw of %d entrants is being made.", d.Entrants)
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// pausedBy says who paused the room, as far as the last orders tell.
func pausedBy(orders []queue.Record) string {
	for i := len(orders) - 1; i >= 0; i-- {
		if o := orders[i]; o.What == queue.WhatPause {
			said := " since " + o.At.UTC().Format("15:04:05 UTC")
			if o.By.User != "" {
				said += " by " + o.By.User
			}
			return said + because(o.By.Reason)
		}
	}
	return ""
}
