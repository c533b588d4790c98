// SPDX-License-Identifier: MPL-2.0

package page

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tab is one tab of a browser of its own. What the page must never do fails the test: a
// word on the console, and a request to anywhere but its own origin.
type tab struct {
	t   *testing.T
	ctx context.Context
	// worked is for how many seconds its thread has worked, as far as that was asked.
	worked float64

	mu       sync.Mutex
	origin   string // host:port
	wrong    []string
	requests int
	failures bool // requests may fail: browsers tell of each in the log
}

// needBrowser skips a test where there is none.
func needBrowser(t *testing.T) {
	t.Helper()
	if browser == "" {
		t.Skip("no browser is on this machine: install chromium, or name one with CHROMIUM")
	}
}

// visit opens an address in a window of a size.
func visit(t *testing.T, address string, width, height int64) *tab {
	t.Helper()
	needBrowser(t)
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(int(width), int(height)),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, leave := chromedp.NewContext(allocator)
	tb := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		leave()
		stop()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		for _, w := range tb.wrong {
			t.Error(w)
		}
		if tb.requests == 0 {
			t.Error("no request was seen: the test looks at the wrong place")
		}
	})
	tb.from(address)
	if err := chromedp.Listen(ctx, tb.saw); err != nil {
		t.Fatal(err)
	}
	command(tb, network.Enable, network.EnableParams{})
	command(tb, log.Enable, cdp.Empty{})
	tb.size(width, height)
	tb.do(chromedp.Navigate(address))
	return tb
}

// from says of which origin the page is.
func (tb *tab) from(address string) {
	tb.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.t.Fatal(err)
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.origin = u.Host
}

// saw notes what is wrong with what the page does.
func (tb *tab) saw(event any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	note := func(format string, args ...any) { tb.wrong = append(tb.wrong, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		tb.requests++
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != tb.origin && u.Scheme != "data" {
			note("a request to %s", e.Request.URL)
		}
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args {
			note("on the console: %s %s", string(a.Value), a.Description)
		}
	case *runtime.EventExceptionThrown:
		note("an exception: %s %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		if !tb.failures || e.Entry.Source != log.EntrySourceNetwork {
			note("in the log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	}
}

// mayFail says that requests may fail from now on: calls, or those to a host that is away.
func (tb *tab) mayFail() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.failures = true
}

// press presses a key that types nothing, unless text is what it types.
func (tb *tab) press(key, text string) {
	tb.t.Helper()
	down := input.DispatchKeyEventTypeRawKeyDown
	if text != "" {
		down = input.DispatchKeyEventTypeKeyDown
	}
	command(tb, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: down, Key: key, Text: text})
	command(tb, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyUp, Key: key})
}

// do takes some steps.
func (tb *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, steps...); err != nil {
		tb.t.Fatal(err)
	}
}

// command gives the browser one command.
func command[P, R any](tb *tab, c cdp.Command[P, R], params P) R {
	tb.t.Helper()
	answer, err := chromedp.Call(tb.ctx, c, params)
	if err != nil {
		tb.t.Fatalf("%s: %v", c.Method, err)
	}
	return answer
}

// size gives the window a size in CSS pixels.
func (tb *tab) size(width, height int64) {
	tb.t.Helper()
	command(tb, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// scheme makes the user prefer light or dark.
func (tb *tab) scheme(name string) {
	tb.t.Helper()
	command(tb, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// eval gives what an expression is.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	value, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		tb.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// shows waits until the visible text of an element has every one of some texts. White
// space counts as one blank.
func (tb *tab) shows(selector string, texts ...string) {
	tb.t.Helper()
	until(tb.t, selector, func() error {
		got := eval[string](tb, fmt.Sprintf(`(e => e?.innerText || e?.textContent || "")(document.querySelector(%q))`, selector))
		got = strings.Join(strings.Fields(got), " ")
		for _, text := range texts {
			if !strings.Contains(got, text) {
				return fmt.Errorf("%q is not in %q", text, got)
			}
		}
		return nil
	})
}
