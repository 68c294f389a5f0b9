package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// journal keeps payments in a file, one line of JSON for each change. What was
// written survives the death of the process, though not that of the machine.
type journal struct{ file *os.File }

// openJournal reads what is there. A last line that was cut short by a death was
// never answered, and is dropped.
func openJournal(path string) (*journal, []*record, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the sandbox's journal: %w", err)
	}
	// Two providers would each know half of the payments. The kernel drops the lock
	// with the process, however that ends.
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("opening the sandbox's journal %s: another process has it; give each its own, or stop the other: %w", path, err)
	}
	var kept []*record
	var good int64
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		r := new(record)
		if err == nil {
			err = json.Unmarshal(line, r)
		}
		if err != nil {
			_ = file.Close()
			return nil, nil, fmt.Errorf("reading the sandbox's journal %s at byte %d: %w; remove the file to begin anew", path, good, err)
		}
		kept = append(kept, r)
		good += int64(len(line))
	}
	if err := file.Truncate(good); err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("opening the sandbox's journal: %w", err)
	}
	return &journal{file}, kept, nil
}

func (j *journal) write(r *record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the sandbox's journal: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the sandbox's journal: %w", err)
	}
	return nil
}

func (j *journal) close() error { return j.file.Close() }
