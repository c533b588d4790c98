// SPDX-License-Identifier: MPL-2.0

package stdio_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// drain reads what a subscription holds of a hub that has been closed.
func drain(t *testing.T, sub stdio.Stream) []stdio.Chunk {
	t.Helper()
	var chunks []stdio.Chunk
	for {
		c, err := sub.Next(t.Context())
		if err == io.EOF {
			return chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, c)
	}
}

func text(chunks []stdio.Chunk, ch stdio.Channel) string {
	var b strings.Builder
	for _, c := range chunks {
		if c.Channel == ch {
			b.Write(c.Data)
		}
	}
	return b.String()
}

var noticePattern = regexp.MustCompile(`^\n?\[go-plugin: (\d+) bytes of output missed\]\n$`)

// account sums up what a subscription gave of ch: the plugin's own bytes, and
// what the notices, which are chunks of their own, say was missed.
func account(t *testing.T, chunks []stdio.Chunk, ch stdio.Channel) (own, missed uint64) {
	t.Helper()
	for _, c := range chunks {
		if c.Channel != ch {
			continue
		}
		m := noticePattern.FindSubmatch(c.Data)
		if m == nil {
			own += uint64(len(c.Data))
			continue
		}
		n, err := strconv.ParseUint(string(m[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		missed += n
	}
	return own, missed
}

func TestOrderAcrossChannels(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	a, b := hub.Subscribe(), hub.Subscribe()
	defer a.Close()
	defer b.Close()
	var want []stdio.Chunk
	for i := range 100 {
		c := stdio.Chunk{stdio.Channel(1 + i%2), fmt.Appendf(nil, "line %d\n", i)}
		want = append(want, c)
		p := bytes.Clone(c.Data)
		hub.Write(c.Channel, p)
		clear(p) // the writer's buffer is its own again
	}
	hub.Write(stdio.Channel(7), []byte("nowhere"))
	hub.Close()
	hub.Write(stdio.Stdout, []byte("too late"))
	for name, sub := range map[string]stdio.Stream{"first": a, "second": b} {
		if diff := cmp.Diff(want, drain(t, sub)); diff != "" {
			t.Errorf("%s subscriber: -want, +got:\n%s", name, diff)
		}
	}
}

func TestBacklogGoesToTheFirst(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	hub.Write(stdio.Stdout, []byte("before 1\n"))
	hub.Write(stdio.Stderr, []byte("before 2\n"))
	first := hub.Subscribe()
	defer first.Close()
	second := hub.Subscribe()
	defer second.Close()
	hub.Write(stdio.Stdout, []byte("after\n"))
	hub.Close()

	if diff := cmp.Diff([]stdio.Chunk{
		{stdio.Stdout, []byte("before 1\n")}, {stdio.Stderr, []byte("before 2\n")}, {stdio.Stdout, []byte("after\n")},
	}, drain(t, first)); diff != "" {
		t.Errorf("first: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff([]stdio.Chunk{{stdio.Stdout, []byte("after\n")}}, drain(t, second)); diff != "" {
		t.Errorf("second: -want, +got:\n%s", diff)
	}
}

// TestNothingIsKeptOnceAHostCame: after the first host has left, output goes
// nowhere, and the next host must not get what was meant for nobody.
func TestNothingIsKeptOnceAHostCame(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	hub.Subscribe().Close()
	hub.Write(stdio.Stdout, []byte("to nobody\n"))
	next := hub.Subscribe()
	defer next.Close()
	hub.Close()
	if got := drain(t, next); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	cases := map[string]struct {
		reason string
		writes int
		size   int
	}{
		"Lines":    {"The oldest lines go.", 5000, 100},
		"Tiny":     {"Single bytes count for what they cost.", 5000, 1},
		"OneLarge": {"Of one large write the end is kept.", 1, 1 << 20},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			hub := stdio.NewHub(1 << 20)
			for range tc.writes {
				hub.Write(stdio.Stderr, bytes.Repeat([]byte("x"), tc.size))
			}
			sub := hub.Subscribe()
			defer sub.Close()
			hub.Close()
			own, missed := account(t, drain(t, sub), stdio.Stderr)
			if own > 64<<10 || own == 0 {
				t.Errorf("%s\nkept %d bytes", tc.reason, own)
			}
			if own+missed != uint64(tc.writes*tc.size) {
				t.Errorf("%s\nkept %d, notices say %d, written %d", tc.reason, own, missed, tc.writes*tc.size)
			}
		})
	}
}

func TestStalledSubscriberNeverBlocks(t *testing.T) {
	hub := stdio.NewHub(64 << 10)
	stalled, healthy := hub.Subscribe(), hub.Subscribe()
	defer stalled.Close()
	defer healthy.Close()
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 10_000 {
		hub.Write(stdio.Stdout, line)
		// The healthy one reads each line at once, and so must get all.
		if c, err := healthy.Next(t.Context()); err != nil || !bytes.Equal(c.Data, line) {
			t.Fatalf("healthy: %q, %v", c.Data, err)
		}
	}
	hub.Close()
	chunks := drain(t, stalled)
	got := text(chunks, stdio.Stdout)
	own, missed := account(t, chunks, stdio.Stdout)
	if own+missed != 1_000_000 {
		t.Errorf("own %d + notices %d, written 1000000", own, missed)
	}
	if own > 64<<10 || own%uint64(len(line)) != 0 {
		t.Errorf("held %d bytes: more than the limit, or part of a line", own)
	}
	if !strings.HasSuffix(got, "missed]\n") || strings.Count(got, "missed]") != 1 {
		t.Errorf("one notice belongs at the end: %q", got[max(0, len(got)-100):])
	}
}

// TestResumesWithNotice: a reader that catches up finds the notice in the
// place of what it missed, then what came later.
func TestResumesWithNotice(t *testing.T) {
	hub := stdio.NewHub(4 << 10)
	sub := hub.Subscribe()
	defer sub.Close()
	hub.Write(stdio.Stdout, []byte("kept, no newline"))
	hub.Write(stdio.Stdout, bytes.Repeat([]byte("a"), 3<<10))
	hub.Write(stdio.Stdout, bytes.Repeat([]byte("b"), 3<<10)) // its start fits
	hub.Write(stdio.Stderr, []byte("lost\n"))
	for range 2 {
		if _, err := sub.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	hub.Write(stdio.Stdout, []byte("later\n"))
	hub.Close()
	rest := drain(t, sub)
	fits := 4<<10 - (3<<10 + len("kept, no newline") + 3*64)
	want := []stdio.Chunk{
		{stdio.Stdout, bytes.Repeat([]byte("b"), fits)},
		{stdio.Stdout, fmt.Appendf(nil, "\n[go-plugin: %d bytes of output missed]\n", 3<<10-fits)},
		{stdio.Stderr, []byte("[go-plugin: 5 bytes of output missed]\n")},
		{stdio.Stdout, []byte("later\n")},
	}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestAccountsForEveryByte has readers of different speed, hosts that come and
// go, and 100 MiB.
func TestAccountsForEveryByte(t *testing.T) {
	const total = 100 << 20
	hub := stdio.NewHub(1 << 20)
	var readers wait.Group
	for name, every := range map[string]int{"fast": 0, "slow": 50} {
		sub := hub.Subscribe()
		readers.Go(func() {
			defer sub.Close()
			var own, noticed uint64
			for i := 1; ; i++ {
				c, err := sub.Next(context.Background())
				if err != nil {
					break
				}
				if m := noticePattern.FindSubmatch(c.Data); m != nil {
					n, _ := strconv.ParseUint(string(m[1]), 10, 64)
					noticed += n
				} else {
					own += uint64(len(c.Data))
				}
				if every > 0 && i%every == 0 {
					for range 200 { // give way, so that the queue overflows
						bytes.Count(make([]byte, 64<<10), []byte{1})
					}
				}
			}
			if own+noticed != total {
				t.Errorf("%s: own %d + noticed %d is not %d", name, own, noticed, total)
			}
		})
	}
	readers.Go(func() {
		for range 200 {
			sub := hub.Subscribe()
			sub.Next(context.Background())
			sub.Close()
		}
	})
	chunk := bytes.Repeat([]byte(strings.Repeat("y", 127)+"\n"), 256)
	for written := 0; written < total; {
		n := min(1+rand.IntN(len(chunk)), total-written)
		hub.Write(stdio.Stdout, chunk[:n])
		written += n
	}
	hub.Close()
	readers.Wait()
}

func TestSplitReadsEachAlone(t *testing.T) {
	hub := stdio.NewHub(64 << 10)
	stdout, stderr := hub.Split()
	defer stdout.Close()
	defer stderr.Close()
	for range 1000 {
		hub.Write(stdio.Stderr, bytes.Repeat([]byte("e"), 1000)) // nobody reads it
	}
	hub.Write(stdio.Stdout, []byte("hello\n"))
	hub.Close()
	got, err := io.ReadAll(stdout)
	if err != nil || string(got) != "hello\n" {
		t.Errorf("stdout: %q, %v", got, err)
	}
	var kept chunkWriter
	if _, err := stderr.WriteTo(&kept); err != nil {
		t.Fatal(err)
	}
	own, missed := account(t, kept, stdio.Stderr)
	if own+missed != 1_000_000 {
		t.Errorf("stderr: own %d, noticed %d", own, missed)
	}
}

// chunkWriter collects each Write as a chunk of stderr.
type chunkWriter []stdio.Chunk

func (w *chunkWriter) Write(p []byte) (int, error) {
	*w = append(*w, stdio.Chunk{stdio.Stderr, bytes.Clone(p)})
	return len(p), nil
}

// TestLinesStayWhole writes in pieces that end within lines, as a pipe gives them.
func TestLinesStayWhole(t *testing.T) {
	hub := stdio.NewHub(4 << 10)
	sub := hub.Subscribe()
	defer sub.Close()
	output := bytes.Repeat([]byte("0123456789abcdef-0123456789abcdef\n"), 500)
	for piece := range slices.Chunk(output, 999) {
		hub.Write(stdio.Stdout, piece)
	}
	hub.Close()
	own, _, found := strings.Cut(text(drain(t, sub), stdio.Stdout), "[go-plugin:")
	if !found || !strings.HasPrefix(string(output), own) || !strings.HasSuffix(own, "cdef\n") {
		t.Errorf("before the notice: %q", own[max(0, len(own)-60):])
	}
}

func TestSubscribeAfterClose(t *testing.T) {
	hub := stdio.NewHub(1 << 20)
	hub.Write(stdio.Stdout, []byte("last words\n"))
	hub.Close()
	sub := hub.Subscribe()
	defer sub.Close()
	if got := text(drain(t, sub), stdio.Stdout); got != "last words\n" {
		t.Errorf("got %q", got)
	}
}
