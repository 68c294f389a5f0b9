package devstack

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// logTail is how much of a server's log goes into an error.
const logTail = 4 << 10

// pollEvery is how often a starting server is asked whether it is ready.
const pollEvery = 10 * time.Millisecond

// command is one server program as it is to be run.
type command struct {
	program string
	args    []string
	log     string              // file that gets its output, appended
	user    *syscall.Credential // nil: as ourselves
	onDeath syscall.Signal      // what the kernel sends it when we die
}

// process is a running server program.
type process struct {
	command command
	pid     int
	done    chan struct{} // closed when it has ended and was waited for
	err     error         // how it ended; read after done
}

// start runs the command. The parent-death signal is tied to the thread that
// forks, not to our process, so a goroutine keeps that thread until the end.
func start(c command) (*process, error) {
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the server log: %w", err)
	}
	cmd := exec.Command(c.program, c.args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Dir = "/" // our own folder may be closed to the other user
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true, // Ctrl-C reaches us, and we stop servers in order
		Pdeathsig:  c.onDeath,
		Credential: c.user,
	}
	p := &process{command: c, done: make(chan struct{})}
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
		return nil, fmt.Errorf("starting %s: %w", c.program, err)
	}
	return p, nil
}

// signal sends sig; to a process that has ended it does nothing.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done: // its pid may belong to somebody else by now
	default:
		_ = syscall.Kill(p.pid, sig)
	}
}

// stop asks with sig, waits, and kills what does not end.
func (p *process) stop(sig syscall.Signal) {
	p.signal(sig)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		p.kill()
	}
}

// kill ends the process and its children at once, as a power cut would.
// PostgreSQL's children are killed too: each is a session of its own, and until
// the last has gone the next server refuses to start on the same data.
func (p *process) kill() {
	children := p.children()
	p.signal(syscall.SIGKILL)
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	<-p.done
}

func (p *process) children() []int {
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

// tail is the end of the server's log, for errors and failed tests.
func (p *process) tail() string {
	log, err := os.ReadFile(p.command.log)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	if len(log) > logTail {
		log = log[len(log)-logTail:]
	}
	return string(log)
}
