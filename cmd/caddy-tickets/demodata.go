package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// elsewhere is where the data goes when the servers' users cannot get to the folder
// that was meant for it. Unlike /tmp, it is kept over a restart of the machine.
const elsewhere = "/var/tmp"

// openData makes the data folder, or finds it again, and locks it: two demos on one
// folder would destroy each other's data.
func (d *demo) openData() error {
	folder, err := filepath.Abs(d.data)
	if err != nil {
		return fmt.Errorf("finding the data folder: %w", err)
	}
	if d.data, err = d.reachable(folder); err != nil {
		return err
	}
	if strings.ContainsAny(d.data, "\n\r`\"{}") {
		return fmt.Errorf("the data folder %q has a character that no Caddyfile takes in a path; choose another with --data", d.data)
	}
	d.places.Logs = filepath.Join(d.data, "logs")
	if err := os.MkdirAll(d.places.Logs, 0o755); err != nil { //nolint:gosec // the servers' users have to get through
		return fmt.Errorf("making the data folder: %w", err)
	}
	return d.lock()
}

// lock holds until we end, however that is.
func (d *demo) lock() error {
	file, err := os.OpenFile(filepath.Join(d.data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("locking the data folder: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // descriptors are small
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := io.ReadAll(io.LimitReader(file, 20))
		_ = file.Close()
		return fmt.Errorf("another demo (process %s) is using %s; stop it, or choose another folder with --data", strings.TrimSpace(string(owner)), d.data)
	}
	if err == nil {
		err = errors.Join(file.Truncate(0), write(file, fmt.Sprintln(os.Getpid())))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("locking the data folder: %w", err), file.Close())
	}
	d.undo = append(d.undo, file.Close)
	return nil
}

func write(file *os.File, text string) error {
	_, err := file.WriteString(text)
	return err
}

// reachable is the folder, or another one where the users that the servers run as
// cannot get to it: when root runs the demo below /root, for one. The folder then becomes a link to it.
func (d *demo) reachable(folder string) (string, error) {
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	if d.database != "" && d.redis != "" || devstack.Reachable(filepath.Join(folder, "postgres")) {
		return folder, nil
	}
	refusal := fmt.Errorf("the users that PostgreSQL and Redis run as cannot get to %s, because a folder above it is closed to others; choose another with --data, such as %s/caddy-tickets-demo", folder, elsewhere)
	if _, err := os.Lstat(folder); d.dataChosen || err == nil {
		return "", refusal
	}
	sum := sha256.Sum256([]byte(folder))
	other := filepath.Join(elsewhere, "caddy-tickets-demo-"+hex.EncodeToString(sum[:6]))
	if err := os.Mkdir(other, 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // the servers' users have to get through
		return "", errors.Join(refusal, err)
	}
	// Anybody may write to /var/tmp: what is there already must be ours.
	info, err := os.Lstat(other)
	if err != nil {
		return "", errors.Join(refusal, err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() {
		return "", errors.Join(refusal, fmt.Errorf("%s is not ours", other))
	}
	if err := os.Symlink(other, folder); err != nil {
		return "", errors.Join(refusal, err)
	}
	fmt.Fprintf(d.said, "The users that PostgreSQL and Redis run as cannot get to %s: the data is kept in %s.\n", folder, other)
	return other, nil
}
