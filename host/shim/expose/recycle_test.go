// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		serveTestChild()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestParseRecycle(t *testing.T) {
	cases := map[string]struct {
		text string
		want Recycle
		err  string
	}{
		"nothing":     {"", Recycle{}, ""},
		"calls":       {"1000", Recycle{Calls: 1000}, ""},
		"a time":      {"24h", Recycle{Age: 24 * time.Hour}, ""},
		"a size":      {"512MiB", Recycle{Memory: 512 << 20}, ""},
		"all of them": {" 5, 1m30s ,2 GiB", Recycle{5, 90 * time.Second, 2 << 30}, ""},
		"no calls":    {"0", Recycle{}, `"0": want`},
		"another word": {
			"never", Recycle{}, `"never": want a number of calls such as 1000`,
		},
		"calls twice":    {"5,24h,7", Recycle{}, `"7" is a second number of calls: name one`},
		"a size twice":   {"1MiB, 1GiB", Recycle{}, `"1GiB" is a second size: name one`},
		"a decimal unit": {"512MB", Recycle{}, `"512MB": want`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRecycle(tc.text)
			if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.HasPrefix(err.Error(), tc.err) {
				t.Errorf("got %+v, %v, want %+v, %q", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestDue(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	cases := map[string]struct {
		recycle Recycle
		want    string
	}{
		"never":   {Recycle{}, ""},
		"calls":   {Recycle{Calls: 10}, "it has run 10 calls"},
		"not yet": {Recycle{Calls: 11, Age: 2 * time.Hour, Memory: 1 << 40}, ""},
		"age":     {Recycle{Age: time.Hour}, "it is 1h0m0s old"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.recycle.due(10, time.Hour, pid); got != tc.want {
				t.Errorf("due = %q, want %q", got, tc.want)
			}
		})
	}
}
