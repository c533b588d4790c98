// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// What a child wrote before its host came waits in its pipes, and what a host did not
// pass on before its connection was lost is there for the next one.
func TestSource(t *testing.T) {
	r, w := io.Pipe()
	source := stdio.NewSource(r, strings.NewReader("from stderr"), nil)
	defer source.Close()
	go func() {
		_, _ = io.WriteString(w, "from stdout")
		_ = w.Close()
	}()
	lost := source.Subscribe()
	if _, err := lost.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost.Close()
	stream := source.Subscribe()
	defer stream.Close()
	got := map[stdio.Channel]string{}
	for {
		chunk, err := stream.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[chunk.Channel] += string(chunk.Data)
	}
	if diff := cmp.Diff(map[stdio.Channel]string{stdio.Stdout: "from stdout", stdio.Stderr: "from stderr"}, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if !source.Settled() {
		t.Error("what was passed on is not settled")
	}
}

// A stream whose context has ended takes nothing: the host may come back for it.
func TestSourceKeepsWhatNobodyTakes(t *testing.T) {
	source := stdio.NewSource(strings.NewReader("text"), nil, nil)
	defer source.Close()
	stream := source.Subscribe()
	defer stream.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.ErrUnsupported)
	if _, err := stream.Next(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Next = %v, want the cause of its context", err)
	}
	if chunk, err := stream.Next(t.Context()); err != nil || string(chunk.Data) != "text" {
		t.Errorf("Next = %q, %v", chunk.Data, err)
	}
}
