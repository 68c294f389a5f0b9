package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ours are the commands of this program; the others are Caddy's.
var ours = []string{"allocator", "audit", "demo", "event", "migrate", "rehearse", "room", "venue", "verify-draw"}

// command makes one of our commands anew, as each start of the program does.
func command(t testing.TB, name string) *cobra.Command {
	t.Helper()
	c, ok := caddycmd.Commands()[name]
	if !ok {
		t.Fatalf("there is no command %q", name)
	}
	cmd := &cobra.Command{Use: c.Name, Short: c.Short, Long: c.Long}
	c.CobraFunc(cmd)
	return cmd
}

// invoke runs a command line, as main does after finding the command.
func invoke(t testing.TB, args ...string) (out string, err error) {
	t.Helper()
	root := &cobra.Command{Use: "caddy-tickets", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(command(t, args[0]))
	var stdout, stderr bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.ExecuteContext(t.Context())
	if err != nil && stdout.Len() > 0 {
		t.Logf("before it failed it said: %s", stdout.String())
	}
	return stdout.String(), err
}

// must runs a command line that has to succeed.
func must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := invoke(t, args...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}

func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	var all []*cobra.Command
	var collect func(c *cobra.Command)
	collect = func(c *cobra.Command) {
		all = append(all, c)
		for _, sub := range c.Commands() {
			collect(sub)
		}
	}
	for _, name := range ours {
		collect(command(t, name))
	}
	for _, c := range all {
		if c.Short == "" {
			t.Errorf("%s has no short help", c.CommandPath())
		}
		if c.HasSubCommands() == c.Runnable() {
			t.Errorf("%s is neither a group nor a command", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", c.CommandPath(), f.Name)
			}
		})
	}
	known := slices.Sorted(maps.Keys(caddycmd.Commands()))
	for _, name := range []string{"run", "reload", "validate", "fmt", "adapt"} {
		if !slices.Contains(known, name) {
			t.Errorf("Caddy's own command %s is gone", name)
		}
	}
}

func TestWhatIsMissingOrWrongIsNamed(t *testing.T) {
	t.Setenv("TICKETS_REDIS", "")
	t.Setenv("TICKETS_DATABASE", "")
	const database, redis = "postgres://tickets@127.0.0.1:1/tickets?connect_timeout=1", "redis://127.0.0.1:1/0"
	for _, tt := range []struct {
		line string
		says []string
	}{
		{"allocator", []string{"TICKETS_REDIS", "--redis", "TICKETS_DATABASE", "--database"}},
		{"allocator --redis " + redis + " --database " + database, []string{"--jwks"}},
		{"allocator --redis " + redis + " --database " + database + " --jwks /keys.json", []string{"--sandbox"}},
		{"allocator --redis http://x --database " + database + " --jwks /keys.json --sandbox", []string{"unknown Redis scheme"}},
		{"allocator surplus", []string{"unknown command"}},
		{"migrate up", []string{"TICKETS_DATABASE"}},
		{"migrate status", []string{"TICKETS_DATABASE"}},
		{"migrate up --database " + database, []string{"connecting to the database"}},
		{"event create arena", []string{"TICKETS_DATABASE"}},
		{"event create", []string{"accepts 1 arg"}},
		{"event create Arena --database " + database, []string{`"Arena" is no event name`}},
		{"event create arena --currency EURO --database " + database, []string{"EURO"}},
		{"event create arena --price Stalls --database " + database, []string{`"Stalls"`, "Stalls=45.00"}},
		{"event create arena --price Stalls=4.567 --database " + database, []string{"price of Stalls"}},
		{"event create arena --price Stalls=45 --database " + database, []string{`no category "Stalls"`, `category "Category 1" has no price`}},
		{"event create arena --hold 25h --database " + database, []string{"hold time"}},
		{"event create arena --seats 0 --database " + database, []string{"1 to 200000"}},
		{"event create arena --plan nowhere.json --database " + database, []string{"nowhere.json"}},
		{"event create arena --plan x --seats 5 --database " + database, []string{"plan", "seats"}},
		{"event open arena", []string{"TICKETS_DATABASE"}},
		{"event list", []string{"TICKETS_DATABASE"}},
		{"audit arena", []string{"TICKETS_DATABASE"}},
		{"audit", []string{"accepts 1 arg"}},
		{"venue generate --seats 900000", []string{"200000"}},
		{"venue import", []string{"accepts 1 arg"}},
		{"venue import nowhere.json", []string{"nowhere.json"}},
		{"rehearse", []string{"accepts 1 arg"}},
		{"rehearse https://tickets.example.com", []string{"is not this machine"}},
		{"rehearse --fans 0 http://127.0.0.1:1", []string{"number of fans"}},
		{"rehearse --rate often http://127.0.0.1:1", []string{"--rate", "20/s"}},
		{"rehearse --rate 5/s --arrive 5s http://127.0.0.1:1", []string{"arrive", "rate"}},
		{"rehearse --declined 2 http://127.0.0.1:1", []string{"shares"}},
		{"room pause", []string{"accepts 1 arg"}},
		{"room rate arena", []string{"accepts 2 arg"}},
		{"room status --address 127.0.0.1:1", []string{"127.0.0.1:1"}},
		{"demo --rate often", []string{"--rate", "20/s"}},
		{"demo --active 0", []string{"--active"}},
		{"demo --fans -1", []string{"--fans"}},
		{"demo --exit", []string{"--fans"}},
		{"demo --plan x --seats 5", []string{"plan", "seats"}},
	} {
		out, err := invoke(t, strings.Fields(tt.line)...)
		if err == nil {
			t.Errorf("%s: no error, but %q", tt.line, out)
			continue
		}
		for _, want := range tt.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not say %q: %v", tt.line, want, err)
			}
		}
	}
}

func TestNoPasswordIsEverShown(t *testing.T) {
	const secret = "hunter2"
	database, redis := "postgres://tickets:"+secret+"@127.0.0.1:1/tickets", "redis://:"+secret+"@127.0.0.1:1/0"
	t.Setenv("TICKETS_DATABASE", database)
	t.Setenv("TICKETS_REDIS", redis)
	for _, name := range ours {
		cmds := append([]*cobra.Command{command(t, name)}, command(t, name).Commands()...)
		for _, c := range cmds {
			if help := c.UsageString(); strings.Contains(help, secret) {
				t.Errorf("the help of %s shows the password:\n%s", c.CommandPath(), help)
			}
		}
	}
	for _, line := range []string{
		"migrate up", "migrate status", "event open arena", "event list", "audit arena",
		"migrate up --database postgres://tickets:12/" + secret + "@db/tickets",
		"event list --database postgres://tickets:" + secret + "@db:port/tickets",
		"allocator --jwks /keys.json --sandbox --redis redis://:12/" + secret + "@r:1/0",
		"allocator --jwks /keys.json --sandbox --redis redis://:" + secret + "@r:port/0",
	} {
		_, err := invoke(t, strings.Fields(line)...)
		if err == nil {
			t.Errorf("%s: no error", line)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the password: %v", line, err)
		}
	}
	for address, want := range map[string]string{
		database: "postgres://tickets:xxxxx@127.0.0.1:1/tickets",
		"postgres://db/tickets?password=" + secret:           "postgres://db/tickets?password=xxxxx",
		"host=db password=" + secret:                         "as given",
		"redis-cluster://:" + secret + "@h1:6379,h2:6379/":   "redis-cluster://:xxxxx@h1:6379,h2:6379/",
		"postgres://postgres@/tickets?host=%2Ftmp%2Ftickets": "postgres://postgres@/tickets?host=%2Ftmp%2Ftickets",
		"unix:///tmp/redis.sock?db=0":                        "unix:///tmp/redis.sock?db=0",
		"redis://:12/" + secret + "@db":                      "as given",
	} {
		if got := withoutPassword(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}
