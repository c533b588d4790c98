// SPDX-License-Identifier: MPL-2.0

package plugin

import (
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
	var err error
	if cfg.DrainTimeout, err = durationFromEnv(env.DrainTimeout); err != nil {
		return nil, err
	}
	if cfg.HandshakeTimeout, err = durationFromEnv(env.HandshakeTimeout); err != nil {
		return nil, err
	}
	if cfg.MaxMessageBytes, err = maxMessageFromEnv(); err != nil {
		return nil, err
	}
	switch text := strings.TrimSpace(os.Getenv(env.Panic)); text {
	case "", "answer":
	case "exit":
		cfg.ExitOnPanic = true
	default:
		return nil, fmt.Errorf("%s is %q, want answer or exit", env.Panic, text)
	}
	if text := strings.TrimSpace(os.Getenv(env.MaxSessions)); text != "" {
		if cfg.MaxSessions, err = strconv.Atoi(text); err != nil || cfg.MaxSessions < 1 {
			return nil, fmt.Errorf("%s is %q, want a number from 1 on", env.MaxSessions, text)
		}
	}
	if text := strings.TrimSpace(os.Getenv(env.DefaultVersion)); text != "" {
		if cfg.DefaultVersion, err = strconv.Atoi(text); err != nil || cfg.DefaultVersion < 1 {
			return nil, fmt.Errorf("%s is %q, want an app version from 1 on", env.DefaultVersion, text)
		}
	}
	if text := strings.TrimSpace(os.Getenv(env.OneServer)); text != "" {
		if cfg.OneServer, err = strconv.ParseBool(text); err != nil {
			return nil, fmt.Errorf("%s is %q, want true or false", env.OneServer, text)
		}
	}
	return cfg, nil
}

// durationFromEnv reads a positive duration; an absent one is 0.
func durationFromEnv(name string) (time.Duration, error) {
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	switch {
	case err == nil && d > 0:
		return d, nil
	case err != nil && onlyDigits(text):
		return 0, fmt.Errorf("%s is %s: give a unit, such as %ss", name, text, text)
	}
	return 0, fmt.Errorf("%s is %q, want a positive duration such as 25s", name, text)
}

func onlyDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

func (c NetworkConfig) withDefaults() NetworkConfig {
	setDefault(&c.Name, executableName())
	setDefault(&c.DrainTimeout, defaultDrainTimeout)
	setDefault(&c.HandshakeTimeout, defaultHandshakeTimeout)
	setDefault(&c.MaxSessions, defaultMaxSessions)
	setDefault(&c.MaxMessageBytes, DefaultMaxMessageBytes)
	return c
}

func executableName() string {
	name := filepath.Base(os.Args[0])
	return strings.TrimSuffix(name, filepath.Ext(name))
}
