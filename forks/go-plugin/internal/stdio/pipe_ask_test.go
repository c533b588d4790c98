// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"io"
	"runtime"
	"testing"
)

// Whoever gives up leaves nothing behind in a pipe whose reader does not come.
func TestPipeIsAskedOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a pipe cannot be asked there")
	}
	p, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	first := p.ask(false)
	if p.ask(false) != first {
		t.Error("each asking waits for an answer of its own")
	}
	_, _ = io.WriteString(p.W, "words")
	if n, err := p.Read(make([]byte, 10)); n != 5 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	if p.ask(false) == first {
		t.Error("an asking has the answer of one that the reader had taken before")
	}
}
