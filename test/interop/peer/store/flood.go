// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// FloodLineSize is the length of every line of a flood, newline included.
const FloodLineSize = 64

// floodHead is how a line begins, before its number in twelve digits.
const floodHead = "flood "

// FloodLine returns line n of a flood. It names itself, so that a reader can
// tell whether lines are missing.
func FloodLine(n int64) string {
	head := fmt.Sprintf(floodHead+"%012d ", n)
	return head + strings.Repeat(".", FloodLineSize-1-len(head)) + "\n"
}

// FloodLineNumber returns the number of a whole line of a flood, with its line
// break, or false for anything else.
func FloodLineNumber(line []byte) (int64, bool) {
	const digits = 12
	if len(line) != FloodLineSize || string(line[:len(floodHead)]) != floodHead {
		return 0, false
	}
	n, err := strconv.ParseInt(string(line[len(floodHead):len(floodHead)+digits]), 10, 64)
	rest := line[len(floodHead)+digits+1 : FloodLineSize-1]
	return n, err == nil && bytes.Count(rest, []byte(".")) == len(rest)
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
	awaitFile(path)
	if err := WriteFlood(os.Stdout, size); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	if err := os.WriteFile(path+".done", nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// awaitFile returns when the file exists.
func awaitFile(path string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		<-tick.C
	}
}
