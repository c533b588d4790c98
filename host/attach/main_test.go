// SPDX-License-Identifier: MPL-2.0

package attach_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/host/attach/dialertest/served"
)

// envRole makes the test binary play a plugin instead of running tests.
const envRole = "ATTACH_TEST_ROLE"

// quickExit keeps a process with the race detector in it from lingering for a
// second when it exits.
const quickExit = "GORACE=atexit_sleep_ms=0"

// envMark names a file that the role "stuck" makes when it runs.
const envMark = "ATTACH_TEST_MARK"

func TestMain(m *testing.M) {
	role := os.Getenv(envRole)
	if role == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := play(role); err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}

// play is main of the processes that these tests start.
func play(role string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr, JSONFormat: true})
	switch role {
	case "served":
		logger.Info("the plugin logs", "answer", 42)
		plugin.Serve(served.Config(logger))
	case "short-lived", "deaf":
		_ = os.Unsetenv("PLUGIN_HELLO") // As the original library, they have HTTP/2 connections.
		config := served.Config(logger)
		config.GRPCServer = replacing(role == "deaf")
		plugin.Serve(config)
	case "crash":
		logger.Error("cannot serve", "error", "no licence")
		panic("the plugin crashes at start")
	case "exit":
		fmt.Fprintln(os.Stderr, "out of memory, or so")
		os.Exit(7)
	case "print":
		fmt.Println("Usage: other program")
	case "stuck":
		if err := os.WriteFile(os.Getenv(envMark), nil, 0o600); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, os.Stdin)
		if err != nil {
			return err
		}
		select {}
	default:
		return fmt.Errorf("there is no such role")
	}
	return nil
}
