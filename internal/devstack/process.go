package devstack

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// logTail is how much of a server's log goes into an error.
const logTail = 4 << 10

// pollEvery is how often a starting or ending server is looked at.
const pollEvery = 10 * time.Millisecond

// Command is one server program as it is to be run.
type Command struct {
	Program string
	Args    []string
	Env     []string       // added to our own environment; for what must not be seen in a process list
	Log     string         // file that gets its output, appended
	OnDeath syscall.Signal // what the kernel sends it when we die

	user *syscall.Credential // nil: as ourselves
}

// Process is a running server program.
type Process struct {
	command Command
	pid     int
	done    chan struct{} // closed when it has ended and was waited for
	err     error         // how it ended; read after done
}

// Start runs the command. The parent-death signal is tied to the thread that
// forks, not to our process, so a goroutine keeps that thread until the end.
func Start(c Command) (*Process, error) {
	out, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the server log: %w", err)
	}
	cmd := exec.Command(c.Program, c.Args...)
	cmd.Stdout, cmd.Stderr = out, out
	if len(c.Env) > 0 {
		cmd.Env = append(os.Environ(), c.Env...)
	}
	if c.user != nil {
		cmd.Dir = "/" // our own folder may be closed to the other user
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true, // Ctrl-C reaches us, and we stop servers in order
		Pdeathsig:  c.OnDeath,
		Credential: c.user,
	}
	p := &Process{command: c, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer func() { _ = out.Close() }()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Program, err)
	}
	return p, nil
}

// PID is the process's id, also after it has ended.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended; nil for status 0. Ask after Done.
func (p *Process) Err() error { return p.err }

// Signal sends sig; to a process that has ended it does nothing.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.done: // its pid may belong to somebody else by now
	default:
		_ = syscall.Kill(p.pid, sig)
	}
}

// Stop asks with sig, waits, and kills what does not end.
func (p *Process) Stop(sig syscall.Signal) {
	p.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		p.Kill()
	}
}

// Kill ends the process and its children at once, as a power cut would.
// PostgreSQL's children are killed too: each is a session of its own, and until
// the last has gone the next server refuses to start on the same data. The parent
// is stopped before its children are counted: one that it forks meanwhile, for a
// client that is just coming back, would be left over.
func (p *Process) Kill() {
	p.Signal(syscall.SIGSTOP)
	within(stopWithin, func() bool { return p.ended() || state(p.pid) == 'T' })
	var children []int
	if !p.ended() { // else its pid may belong to somebody else by now
		children = p.children()
	}
	p.Signal(syscall.SIGKILL)
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	<-p.done
	within(stopWithin, func() bool {
		return !slices.ContainsFunc(children, func(pid int) bool { return !strings.ContainsRune("ZX", state(pid)) })
	})
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// within polls until so, for d at most.
func within(d time.Duration, so func() bool) {
	for end := time.Now().Add(d); !so() && time.Now().Before(end); {
		time.Sleep(pollEvery)
	}
}

// state is the letter that /proc has for what a process does: T if it is stopped,
// Z if it is dead but not buried. X, dead, is also said of one that is not there.
func state(pid int) rune {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 'X'
	}
	_, after, _ := strings.Cut(string(stat), ") ") // the name before may have anything else in it
	for _, letter := range after {
		return letter
	}
	return 'X'
}

func (p *Process) children() []int {
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.pid, p.pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(list)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Tail is the end of the log, for errors and failed tests.
func (p *Process) Tail() string {
	log, err := os.ReadFile(p.command.Log)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	if len(log) > logTail {
		log = log[len(log)-logTail:]
	}
	return string(log)
}
