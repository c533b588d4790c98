// SPDX-License-Identifier: MPL-2.0

package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/reattach/reattach/test/kit"
)

// fleet is a host with three replicas of pluginzh, each a process, and a plugin "store"
// where nobody listens.
type fleet struct {
	url       string
	addresses []string // of the replicas, and of store
	kills     []func() // for each replica
}

func newFleet(t *testing.T, env ...string) fleet {
	t.Helper()
	needBrowser(t)
	f := fleet{addresses: kit.Addresses(t, 4)}
	for _, a := range f.addresses[:3] {
		cmd := replica(t, a)
		f.kills = append(f.kills, func() { cmd.End(syscall.SIGKILL) })
	}
	f.url = host(t, append(env, fmt.Sprintf("NETWORK_PLUGIN=pluginzh=%s,pluginzh=%s,pluginzh=%s,store=%s",
		f.addresses[0], f.addresses[1], f.addresses[2], f.addresses[3]))...)
	return f
}

// byEvent is within what time the page has what only the stream of events can have told it:
// it asks for all plugins every 30 s. On a machine with nothing else to do it takes a tenth
// of a second.
const byEvent = 15 * time.Second

// TestStates holds that what happens to a plugin's process is on the screen at once: in the
// list, the details and the events.
func TestStates(t *testing.T) {
	f := newFleet(t, "REQUIRED_PLUGINS=pluginzh")
	tb := visit(t, f.url, 1440, 900)
	tb.shows("#link", "live")
	tb.shows("#plugins", "pluginzh 3/3 network gRPC v2", "store", "none ready", "0/1")
	tb.shows("#total-endpoints", "3 of 4 ready")
	tb.shows("#host-state", "ready")

	f.kills[1]()
	began := time.Now()
	tb.shows("#plugins", "2 of 3 ready", "2/3")
	took := time.Since(began)
	t.Logf("a SIGKILL is in the list after %s", took.Round(time.Millisecond))
	if took > byEvent {
		t.Errorf("that is later than by an event")
	}
	tb.shows("#detail", "pluginzh", "failing", "connection to plugin lost")

	tb.do(chromedp.Click(chromedp.CSS(`#plugins a[href="#/plugins/pluginzh"]`)))
	tb.shows("#detail h2", "pluginzh")
	tb.shows(".endpoints", f.addresses[1], "failing", "connection refused", f.addresses[0], "ready", "gRPC v2")

	f.kills[0]()
	f.kills[2]()
	tb.shows("#detail .title", "none ready")
	tb.shows("#plugins .open", "none ready", "0/3")
	tb.shows("#host-state", "not ready")
	tb.shows("title", "not ready · basic")
	replica(t, f.addresses[2])
	tb.shows("#detail .title", "1 of 3 ready")
	tb.shows(".endpoints", "ready", "attached 2 times", "Until")

	// Whoever opens the page afterwards is told of it as well, with how often it happened.
	later := visit(t, f.url, 1440, 900)
	later.shows("#detail", "pluginzh", "takes calls", "has no ready endpoint", "connection to plugin lost", "found", "times, until")
}

// TestCall calls a method by the form, and reads the answers, good and bad.
func TestCall(t *testing.T) {
	needBrowser(t)
	list := kit.Addresses(t, 1)
	farm(t, list)
	url := host(t, "NETWORK_PLUGIN=farm="+list[0])
	until(t, "ready", func() error { return status(url + "readyz") })
	tb := visit(t, url+"#/plugins/farm", 1440, 900)
	tb.shows("form", "Greet(name string) (string, error)", "name", "within 30s")
	fill := func(value string) {
		t.Helper()
		eval[bool](tb, `(i => { i.value = ""; i.focus(); return true })(document.querySelector("form input"))`)
		tb.do(chromedp.KeyEvent(value), chromedp.KeyEvent(kb.Enter))
	}
	fill("Ada")
	tb.shows(".result", `"Hello Ada"`)
	tb.shows("form .buttons", "answered in")
	tb.shows(".methods", "greeter.Greet", "max") // the history has it

	// What the plugin says is words, whatever it looks like.
	tb.mayFail()
	fill("fail")
	tb.shows(".result", "The plugin answered with an error", "(500)", "no greeting for <b>fail</b>", "On the side of the plugin")
	if n := eval[int](tb, `[...document.querySelectorAll("b")].filter(b => b.textContent === "fail").length`); n != 0 {
		t.Errorf("the plugin's text has become %d elements", n)
	}

	// What does not fit is said at its field, before anything is sent.
	eval[string](tb, `(s => { s.value = "greeter.Hi"; s.dispatchEvent(new Event("change")); return s.value })(document.querySelector("#call-method"))`)
	fill("many")
	tb.shows("form", "Want an integer")
	if !eval[bool](tb, `document.activeElement.getAttribute("aria-invalid") === "true"`) {
		t.Error("the field with the mistake is not marked, or has not got the focus")
	}
	fill("2")
	tb.shows(".result", `"Hi! Hi! "`)
	fill("400000") // 1.6 MB
	tb.shows(".result", "Hi! Hi! Hi!", "The result goes on: these are its first 1,048,576 characters.")
}

// TestToken: a host that needs its token says so, and takes it from the page; so does a
// probe.
func TestToken(t *testing.T) {
	needBrowser(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("correct-horse-battery"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, "BASIC_TOKEN_FILE="+token)
	tb := visit(t, f.url+"#/plugins/pluginzh", 1440, 900)
	tb.mayFail()
	tb.shows("form", "Token")
	tb.do(chromedp.Click(chromedp.CSS("form .main")))
	tb.shows("form", "the token is missing or wrong")
	tb.do(chromedp.Click(chromedp.CSS(".endpoints .row:nth-child(1) .probe")))
	tb.shows(".hops", "Give the host's token in the form below.")
	tb.do(chromedp.SendKeys(chromedp.CSS("#call-token"), "correct-horse-battery"), chromedp.KeyEvent(kb.Enter))
	tb.shows(".result", `"您好 "`)
	tb.do(chromedp.Click(chromedp.CSS(".endpoints .row:nth-child(1) .probe")))
	tb.shows(".hops", "connect", "hello greeter-zh", "ping answered")
}

// TestProbe names the hop at which the way to a dead endpoint ends.
func TestProbe(t *testing.T) {
	f := newFleet(t)
	tb := visit(t, f.url+"#/plugins/store", 1440, 900)
	tb.shows(".endpoints", "failing")
	tb.do(chromedp.Click(chromedp.CSS(".endpoints .probe")))
	tb.shows(".hops", "resolve 127.0.0.1 is an address", "connect RA03", "connection refused", "More")
}

// TestKeys goes through the page by the keyboard alone.
func TestKeys(t *testing.T) {
	f := newFleet(t)
	tb := visit(t, f.url, 1440, 900)
	tb.shows("#plugins", "pluginzh 3/3")
	focus := func(want string) {
		t.Helper()
		until(t, "focus", func() error {
			if got := eval[string](tb, `(e => e.id || e.textContent)(document.activeElement)`); !strings.HasPrefix(got, want) {
				return fmt.Errorf("it is at %.40q, want %q", got, want)
			}
			return nil
		})
	}
	press := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			tb.do(chromedp.KeyEvent(k))
		}
	}
	tb.press("/", "/")
	focus("filter")
	press("zh")
	tb.shows("#plugins .body", "pluginzh 3/3")
	if text := eval[string](tb, `document.querySelector("#plugins .body").innerText`); strings.Contains(text, "store") {
		t.Errorf("the filter leaves %q", text)
	}
	press(kb.Escape)
	tb.shows("#plugins .body", "store", "pluginzh")
	press(kb.ArrowDown)
	focus("store") // trouble comes first
	press(kb.ArrowDown)
	focus("pluginzh")
	press(kb.Enter)
	tb.shows("#detail h2", "pluginzh")
	press(kb.Escape)
	tb.shows("#detail", "All calls of the last hour")
	focus("pluginzh")

	// The list is one stop of the Tab key, whichever its length.
	press(kb.Tab)
	if eval[bool](tb, `document.querySelector("#plugins").contains(document.activeElement)`) {
		t.Error("the Tab key stops twice in the list")
	}
}

// TestBelow: the page works below a path, as behind an ingress.
func TestBelow(t *testing.T) {
	f := newFleet(t)
	to, err := url.Parse(f.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	web := httptest.NewServer(http.StripPrefix("/ops/plugins", proxy))
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	tb := visit(t, web.URL+"/ops/plugins/#/plugins/pluginzh", 1440, 900)
	tb.shows("#link", "live")
	tb.do(chromedp.SendKeys(chromedp.CSS("form input"), "Ada\n"))
	tb.shows(".result", `"您好 Ada"`)
}

// TestAway: a host that is gone is told, and one that is back is followed again.
func TestAway(t *testing.T) {
	needBrowser(t)
	list := kit.Addresses(t, 2)
	replica(t, list[0])
	env := []string{"PLUGIN_DIR=", "BASIC_LISTEN=" + list[1], "LOG_LEVEL=error", "NETWORK_PLUGIN=pluginzh=" + list[0]}
	url := "http://" + list[1] + "/"
	first := program(t, "basic", env, "serve")
	until(t, "the host serves", func() error { return status(url + "healthz") })
	tb := visit(t, url, 1440, 900)
	tb.shows("#plugins", "pluginzh 1/1")
	tb.mayFail()
	first.End(syscall.SIGKILL)
	tb.shows("#link", "no connection since", "what is shown may be old")
	tb.shows("title", "(away)")
	program(t, "basic", env, "serve")
	tb.shows("#link", "live")
	tb.shows("#plugins", "pluginzh 1/1")
}
