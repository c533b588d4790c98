// SPDX-License-Identifier: MPL-2.0

package store

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// FloodLineSize is the length of every line of a flood, newline included.
const FloodLineSize = 64

// FloodLine returns line n of a flood. It names itself, so that a reader can
// tell whether lines are missing.
func FloodLine(n int64) string {
	head := fmt.Sprintf("flood %012d ", n)
	return head + strings.Repeat(".", FloodLineSize-1-len(head)) + "\n"
}

// WriteFlood writes size bytes of numbered lines.
func WriteFlood(f *os.File, size int64) error {
	const linesPerWrite = 512
	var block strings.Builder
	for line := int64(0); line*FloodLineSize < size; line++ {
		block.WriteString(FloodLine(line))
		if (line+1)%linesPerWrite == 0 || (line+1)*FloodLineSize >= size {
			if _, err := f.WriteString(block.String()); err != nil {
				return fmt.Errorf("write line %d of a flood: %w", line, err)
			}
			block.Reset()
		}
	}
	return nil
}

// floodWhen waits for the file, floods os.Stdout, and says when it is through.
func floodWhen(path string, size int64) {
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(path); err == nil {
			tick.Stop()
			break
		}
	}
	if err := WriteFlood(os.Stdout, size); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	if err := os.WriteFile(path+".done", nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
