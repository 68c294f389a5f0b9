package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// places says where everything is.
type places struct {
	FanPage      string `json:"fanPage"`
	OperatorPage string `json:"operatorPage"`
	Metrics      string `json:"metrics"`
	Allocator    string `json:"allocator"`
	Caddyfile    string `json:"caddyfile"`
	Redis        string `json:"redis"`    // without its password
	Database     string `json:"database"` // without its password
	Logs         string `json:"logs"`
	AllocatorPID int    `json:"allocatorPID"`
	EdgePID      int    `json:"edgePID"`
	RedisPID     int    `json:"redisPID,omitempty"`
	PostgresPID  int    `json:"postgresPID,omitempty"`
}

func (d *demo) where(out io.Writer) error {
	if d.json {
		return json.NewEncoder(out).Encode(d.places)
	}
	_, err := fmt.Fprintf(out, `
  Fan page       %s
  Operator page  %s
  Metrics        %s
  Logs           %s

  To let more or fewer people in, change "admit" in the Caddyfile and reload it:
      %[5]s
      %[6]s reload --config %[5]s --adapter caddyfile
  To stop admission and to start it again:
      %[6]s room pause %[7]s --config %[5]s
      %[6]s room resume %[7]s --config %[5]s

  Ctrl-C stops everything. The next start finds the same sale.

`, d.places.FanPage, d.places.OperatorPage, d.places.Metrics, d.places.Logs, d.places.Caddyfile, d.program, demoName)
	return err
}
