package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
)

// rehearsal is what `caddy-tickets rehearse --json` says.
type rehearsal struct {
	Fans, Joined, Admitted, Held, Booked, Tickets int
	Refused                                       map[string]int
	Violations                                    []string
}

// rehearse sends virtual fans with the program itself. They are no part of the test's
// process: under the race detector each would work ten times as long on its challenge.
func (s *stack) rehearse(t *testing.T, args ...string) rehearsal {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"rehearse", "--json", s.FanPage}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	failure := cmd.Run() // also where promises were broken; the report says which
	var report rehearsal
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("the rehearsal says nothing that can be read: %v, %v\n%s%s", err, failure, out.String(), said.String())
	}
	for _, violation := range report.Violations {
		t.Error(violation)
	}
	if failure != nil && len(report.Violations) == 0 {
		t.Errorf("the rehearsal ended with %v:\n%s", failure, said.String())
	}
	return report
}
