package devstack

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSocketPath is what sun_path holds on Linux, without its final NUL.
const maxSocketPath = 107

// folderPrefix marks our temporary folders, so that those of a process that died
// can be found and removed by the next one.
const folderPrefix = "tickets-"

// sweepAfter protects a folder between its making and its locking.
const sweepAfter = time.Minute

// folder is a temporary folder that is ours for as long as its lock file is open.
// The kernel drops the lock when we die, which is how a later process knows that
// nobody needs the folder any more.
type folder struct {
	path string
	lock *os.File
}

// newFolder makes a folder whose path is short enough to hold unix sockets.
func newFolder() (*folder, error) {
	parent := os.TempDir()
	if len(filepath.Join(parent, folderPrefix+"0123456789", ".s.PGSQL.5432.lock")) > maxSocketPath {
		parent = "/tmp"
	}
	sweep(parent)
	path, err := os.MkdirTemp(parent, folderPrefix)
	if err != nil {
		return nil, fmt.Errorf("making a folder for a server: %w", err)
	}
	if err := os.Chmod(path, 0o755); err != nil { // PostgreSQL may run as another user
		return nil, fmt.Errorf("opening the server folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the lock of the server folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("locking the server folder: %w", err)
	}
	return &folder{path: path, lock: lock}, nil
}

// remove deletes the folder with everything in it.
func (f *folder) remove() error {
	err := os.RemoveAll(f.path)
	_ = f.lock.Close()
	if err != nil {
		return fmt.Errorf("removing the server folder: %w", err)
	}
	return nil
}

// sweep removes folders whose process is gone. It is best effort: a folder of
// another user stays.
func sweep(parent string) {
	locks, err := filepath.Glob(filepath.Join(parent, folderPrefix+"*", "lock"))
	if err != nil {
		return
	}
	for _, path := range locks {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < sweepAfter {
			continue
		}
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = lock.Close()
	}
}
