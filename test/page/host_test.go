// SPDX-License-Identifier: MPL-2.0

package page

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

const patience = time.Minute

// program starts one of bin.
func program(t *testing.T, name string, env []string, args ...string) *kit.Process {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = append(os.Environ(), env...)
	return kit.Start(t, cmd)
}

// replica starts greeter-zh at an address.
func replica(t *testing.T, address string) *kit.Process {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	p := program(t, "greeter-zh.po", []string{
		"BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1", "PLUGIN_MIN_PORT=" + port, "PLUGIN_MAX_PORT=" + port, "PLUGIN_NAME=greeter-zh",
	})
	if !p.Stdout.Scan() {
		t.Fatalf("greeter-zh at %s does not listen", address)
	}
	return p
}

// farm starts many instances in one process.
func farm(t *testing.T, list []string, env ...string) *kit.Process {
	t.Helper()
	p := program(t, "farm", append(env, "FARM_ADDRESSES="+strings.Join(list, ",")))
	if !p.Stdout.Scan() {
		t.Fatal("the farm does not serve")
	}
	return p
}

// host starts basic serve and gives the address of its page.
func host(t *testing.T, env ...string) string {
	t.Helper()
	address := kit.Addresses(t, 1)[0]
	program(t, "basic", append([]string{"PLUGIN_DIR=", "BASIC_LISTEN=" + address, "ATTACH_TIMEOUT=2s", "LOG_LEVEL=error"}, env...), "serve")
	url := "http://" + address + "/"
	until(t, "the host serves", func() error {
		return status(url + "healthz")
	})
	return url
}

func status(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", answer.Status)
	}
	return nil
}

// until waits until a look finds nothing wrong.
func until(t *testing.T, what string, look func() error) {
	t.Helper()
	kit.Eventually(t, patience, func() error {
		if err := look(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// call calls a method over HTTP, as any client would.
func call(t *testing.T, url, plugin, method, args string) {
	t.Helper()
	answer, err := http.Post(url+"api/v1/plugins/"+plugin+"/kinds/greeter/methods/"+method, "application/json", strings.NewReader(args))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}
