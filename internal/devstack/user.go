package devstack

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unprivileged is the user that runs a server: ourselves, or the package's own user
// when we are root. PostgreSQL refuses to run as root, and Redis has no need to.
func unprivileged(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var account *user.User
	var err error
	for _, name := range append(names, "nobody") {
		if account, err = user.Lookup(name); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("finding a user to run a server as: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("reading the ids of user %s: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// own makes a folder that the user may write to, with everything that is in it.
func own(user *syscall.Credential, path string, mode os.FileMode) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("making a server's folder: %w", err)
	}
	if user == nil {
		return nil
	}
	err := filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(user.Uid), int(user.Gid))
	})
	if err != nil {
		return fmt.Errorf("giving a server's folder to its user: %w", err)
	}
	return nil
}

// Reachable says whether a server's user may get to a folder: false when we
// are root and a folder above it, such as /root, is closed to others.
func Reachable(dir string) bool {
	if os.Geteuid() != 0 {
		return true
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for path = filepath.Dir(path); ; path = filepath.Dir(path) {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o001 == 0 {
			return false
		}
		if path == "/" {
			return true
		}
	}
}
