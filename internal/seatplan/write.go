package seatplan

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Write writes the plan as a file that Parse and pretix's editor read.
func (p *Plan) Write(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(p); err != nil {
		return fmt.Errorf("writing plan: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("writing plan: %w", err)
	}
	return nil
}
