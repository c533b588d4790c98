// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/tlsfile"
)

const (
	defaultDrainTimeout     = 25 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxSessions      = 1000
	defaultMaxCalls         = 4096
)

// NetworkConfig configures network mode. A zero field has the default that is
// named beside it.
type NetworkConfig struct {
	// Name is the plugin's name in handshakes (PLUGIN_NAME): the executable's
	// file name without its ending.
	Name string

	// DrainTimeout bounds how long calls in flight may take to finish once the
	// plugin was told to end (PLUGIN_DRAIN_TIMEOUT): 25 s, which fits into the
	// 30 s that Kubernetes grants a pod.
	DrainTimeout time.Duration

	// HandshakeTimeout bounds the time from a connection's start to the end of
	// its handshake, TLS included (PLUGIN_HANDSHAKE_TIMEOUT): 10 s.
	HandshakeTimeout time.Duration

	// MaxSessions is how many hosts may be attached at once
	// (PLUGIN_MAX_SESSIONS): 1000.
	MaxSessions int

	// MaxMessageBytes bounds one message in either direction, over net/rpc and over
	// gRPC (PLUGIN_MAX_MESSAGE): [DefaultMaxMessageBytes]. One that is larger is an
	// error of its call, which names both sizes. Negative is no bound.
	MaxMessageBytes int

	// MaxCalls is how many net/rpc calls of one host may be under way at once, besides
	// those that are known to be quick (PLUGIN_MAX_CALLS): 4096. Others are refused,
	// which this library's hosts take for not run.
	MaxCalls int

	// TLS names the certificate files to serve with. They are read again when
	// they change (PLUGIN_TLS_CERT_FILE, PLUGIN_TLS_KEY_FILE,
	// PLUGIN_TLS_CLIENT_CA_FILE): no TLS.
	TLS tlsfile.Files

	// HealthAddr is where /healthz, /readyz and /metrics are served in plain
	// HTTP (PLUGIN_HEALTH_ADDR): nowhere.
	HealthAddr string

	// DefaultVersion is the app version of sessions whose hosts do not shake hands,
	// if it speaks their protocol (PLUGIN_DEFAULT_VERSION): the version of the line
	// that [Serve] prints, else the lowest.
	DefaultVersion int

	// OneServer lets all hosts of an app version share one gRPC server from the
	// beginning (PLUGIN_ONE_SERVER=true), for a plugin whose GRPCServer ends the
	// process when it is called again. One that panics, fails or does not return is
	// noticed without that. Callbacks then work for one host at a time.
	OneServer bool

	// ExitOnPanic lets a panic in a method end the process, and with it the
	// calls of all hosts (PLUGIN_PANIC=exit). Otherwise (PLUGIN_PANIC=answer) it
	// is answered as that call's error, the stack goes to the log, and the
	// process lives on, with whatever the method has left behind: a mutex that it
	// held stays locked unless it was deferred to unlock it.
	ExitOnPanic bool
}

// NetworkConfigFromEnv reads the variables that NetworkConfig's fields name.
func NetworkConfigFromEnv() (*NetworkConfig, error) {
	cfg := &NetworkConfig{
		Name:       os.Getenv(env.Name),
		HealthAddr: os.Getenv(env.HealthAddr),
		TLS: tlsfile.Files{
			Cert: os.Getenv(env.TLSCert), CertName: env.TLSCert,
			Key: os.Getenv(env.TLSKey), KeyName: env.TLSKey,
			CA: os.Getenv(env.TLSClientCA), CAName: env.TLSClientCA,
		},
	}
	positive := func(want string) func(string) (int, error) {
		return func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return 0, fmt.Errorf("%q, want %s from 1 on", text, want)
			}
			return n, nil
		}
	}
	err := cmp.Or(
		fromEnv(env.DrainTimeout, &cfg.DrainTimeout, parseTimeout),
		fromEnv(env.HandshakeTimeout, &cfg.HandshakeTimeout, parseTimeout),
		fromEnv(env.MaxMessage, &cfg.MaxMessageBytes, parseMaxMessage),
		fromEnv(env.Panic, &cfg.ExitOnPanic, func(text string) (bool, error) {
			if text != "answer" && text != "exit" {
				return false, fmt.Errorf("%q, want answer or exit", text)
			}
			return text == "exit", nil
		}),
		fromEnv(env.MaxSessions, &cfg.MaxSessions, positive("a number")),
		fromEnv(env.MaxCalls, &cfg.MaxCalls, positive("a number")),
		fromEnv(env.DefaultVersion, &cfg.DefaultVersion, positive("an app version")),
		fromEnv(env.OneServer, &cfg.OneServer, func(text string) (bool, error) {
			is, err := strconv.ParseBool(text)
			if err != nil {
				err = fmt.Errorf("%q, want true or false", text)
			}
			return is, err
		}),
	)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// fromEnv reads a variable into a field, which keeps its value if there is none. The
// error of parse goes on after "NAME is ".
func fromEnv[T any](name string, field *T, parse func(text string) (T, error)) error {
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return nil
	}
	value, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s is %w", name, err)
	}
	*field = value
	return nil
}

func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err == nil && d > 0:
		return d, nil
	case err != nil && strings.Trim(text, "0123456789") == "":
		return 0, fmt.Errorf("%s: give a unit, such as %ss", text, text)
	}
	return 0, fmt.Errorf("%q, want a positive duration such as 25s", text)
}

func (c NetworkConfig) withDefaults() NetworkConfig {
	setDefault(&c.Name, executableName())
	setDefault(&c.DrainTimeout, defaultDrainTimeout)
	setDefault(&c.HandshakeTimeout, defaultHandshakeTimeout)
	setDefault(&c.MaxSessions, defaultMaxSessions)
	setDefault(&c.MaxCalls, defaultMaxCalls)
	setDefault(&c.MaxMessageBytes, DefaultMaxMessageBytes)
	return c
}

func executableName() string {
	name := filepath.Base(os.Args[0])
	return strings.TrimSuffix(name, filepath.Ext(name))
}
