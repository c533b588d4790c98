// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/kelseyhightower/envconfig"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/balancer"
)

// Config is what the host reads from its environment. No name in it is one that
// Kubernetes may set for a Service (NAME_PORT, NAME_SERVICE_HOST and the like).
type Config struct {
	// PluginDir is where executables and shared objects are. Empty means none.
	PluginDir string `envconfig:"PLUGIN_DIR" default:"./bin" desc:"directory of executables (*.po) to start as children, and of shared objects (*.so) to load; empty for none"`
	// NetworkPlugin are plugins that run elsewhere.
	NetworkPlugin []string `envconfig:"NETWORK_PLUGIN" desc:"comma list of network plugins: host:port, name=host:port, or dns:///host:port for one endpoint of each address record"`
	// KubeSelector and KubeNamespaces turn discovery in a Kubernetes cluster on, if
	// either is set. Kubeconfig alone does not, as many have it for other programs.
	KubeSelector   string   `envconfig:"KUBE_SELECTOR" desc:"label selector of Services whose pods are plugins, such as reattach.dev/plugin; for basic serve in Kubernetes"`
	KubeNamespaces []string `envconfig:"KUBE_NAMESPACES" desc:"comma list of the namespaces of those Services, or * for all; empty is the host's own. Plugins of the first are named like their Services, others SERVICE.NAMESPACE"`
	Kubeconfig     string   `envconfig:"KUBECONFIG" desc:"file that says how to reach the cluster; empty is the cluster that the host runs in"`
	// Zone is where the host runs.
	Zone string `envconfig:"HOST_ZONE" desc:"zone of this host: calls stay in it while a quarter of the ready endpoints are there"`
	// RequiredPlugins make the host unready while they are missing.
	RequiredPlugins []string `envconfig:"REQUIRED_PLUGINS" desc:"comma list of plugins without which basic serve is not ready"`
	// GreetName is who is greeted.
	GreetName string `envconfig:"GREET_NAME" default:"someone" desc:"who is greeted"`
	// LogLevel is the least level of what is logged to stderr.
	LogLevel string `envconfig:"LOG_LEVEL" default:"info" desc:"trace, debug, info, warn, error or off; logs go to stderr, results to stdout"`
	// AttachTimeout bounds starting or reaching one plugin.
	AttachTimeout time.Duration `envconfig:"ATTACH_TIMEOUT" default:"10s" desc:"how long starting or reaching a plugin may take"`
	// CallTimeout bounds each call to a plugin.
	CallTimeout time.Duration `envconfig:"CALL_TIMEOUT" default:"30s" desc:"how long a plugin may take to answer one call"`
	// MaxMessage bounds one message to a plugin or from it.
	MaxMessage int `envconfig:"HOST_MAX_MESSAGE" default:"67108864" desc:"how many bytes one message to a plugin or from it may have; a larger one is an error of its call"`
	// DrainTimeout bounds each step of the end of basic serve.
	DrainTimeout time.Duration `envconfig:"DRAIN_TIMEOUT" default:"20s" desc:"how long calls in flight may take when the host ends, or an endpoint leaves"`
	// Balancer chooses among the endpoints of a plugin.
	Balancer string `envconfig:"BALANCER" default:"least-request" desc:"which of several ready endpoints gets a call: round-robin or least-request"`
	// ContractVersions are the versions of the contract that the host speaks.
	ContractVersions versionList `envconfig:"CONTRACT_VERSIONS" default:"1,2" desc:"versions of the contract to speak: 1 is net/rpc, 2 is gRPC"`
	// TLSCertFile, TLSKeyFile and TLSCAFile are towards network plugins.
	TLSCertFile string `envconfig:"HOST_TLS_CERT_FILE" desc:"certificate that this host shows network plugins, read again when it changes"`
	TLSKeyFile  string `envconfig:"HOST_TLS_KEY_FILE" desc:"key of that certificate"`
	TLSCAFile   string `envconfig:"HOST_TLS_CA_FILE" desc:"authority that vouches for network plugins; with it they are reached by TLS only"`
	// TLSPlainPlugins are exempt from TLS.
	TLSPlainPlugins []string `envconfig:"HOST_TLS_PLAIN_PLUGINS" desc:"comma list of plugins that may speak plain TCP although TLS is configured"`
	// Listen is the address of the HTTP API of basic serve. Empty means none.
	Listen string `envconfig:"BASIC_LISTEN" default:"127.0.0.1:8080" desc:"host:port of the HTTP API of basic serve; empty for none"`
	// TokenFile holds the bearer token of the HTTP API.
	TokenFile string `envconfig:"BASIC_TOKEN_FILE" desc:"file of the bearer token that calls over HTTP need; required where BASIC_LISTEN is not loopback"`
	// NoCalls turns calls over HTTP off.
	NoCalls bool `envconfig:"BASIC_NO_CALLS" default:"false" desc:"true takes no calls over HTTP, so that BASIC_LISTEN needs no token"`
	// MaxCalls and MaxPluginCalls bound the calls over HTTP.
	MaxCalls       int `envconfig:"BASIC_MAX_CALLS" default:"256" desc:"how many calls over HTTP may be in flight at once"`
	MaxPluginCalls int `envconfig:"BASIC_MAX_PLUGIN_CALLS" default:"64" desc:"how many of them may be calls of one plugin, so that one which does not answer leaves room for others"`
	// Server is the daemon that the client commands ask.
	Server string `envconfig:"BASIC_SERVER" desc:"URL of a running basic serve, for basic plugins and basic call; empty asks the one at BASIC_LISTEN if that is set or nothing else is, and else attaches to the plugins directly"`
}

// ReadConfig reads the environment. An error names the variable and what is wrong.
func ReadConfig() (Config, error) {
	var c Config
	if err := envconfig.Process("", &c); err != nil {
		return Config{}, readable(err)
	}
	for _, field := range reflect.ValueOf(&c).Elem().Fields() {
		if list, ok := field.Addr().Interface().(*[]string); ok {
			*list = trimmed(*list)
		}
	}
	return c, c.validate()
}

// versionList is a comma list of versions.
type versionList []int

// Decode implements envconfig.Decoder.
func (l *versionList) Decode(text string) error {
	for _, element := range trimmed(strings.Split(text, ",")) {
		v, err := strconv.Atoi(element)
		if err != nil {
			return fmt.Errorf("%q is no number", element)
		}
		*l = append(*l, v)
	}
	return nil
}

// readable names the variable of a value that did not parse, and says what it
// takes, as the other errors do.
func readable(err error) error {
	parse, ok := errors.AsType[*envconfig.ParseError](err)
	if !ok {
		return err
	}
	value := strings.TrimSpace(parse.Value)
	want := "want a " + parse.TypeName
	switch parse.TypeName {
	case "time.Duration":
		want = "want a duration, such as 5s or 1m30s"
		if value != "" && strings.Trim(value, "0123456789") == "" {
			want = fmt.Sprintf("give a unit, such as %ss", value)
		}
	case "bool":
		want = "want true or false"
	case reflect.TypeFor[versionList]().String():
		want = fmt.Sprintf("want a comma list of some of %v: %v", knownVersions(), parse.Err)
	}
	return fmt.Errorf("%s=%q: %s", parse.KeyName, parse.Value, want)
}

// trimmed leaves out what people write around commas.
func trimmed(list []string) []string {
	var kept []string
	for _, a := range list {
		if a = strings.TrimSpace(a); a != "" {
			kept = append(kept, a)
		}
	}
	return kept
}

func (c Config) validate() error {
	if hclog.LevelFromString(c.LogLevel) == hclog.NoLevel {
		return fmt.Errorf("LOG_LEVEL=%q: want trace, debug, info, warn, error or off", c.LogLevel)
	}
	for field, value := range reflect.ValueOf(c).Fields() {
		if d, ok := value.Interface().(time.Duration); ok && d <= 0 {
			return fmt.Errorf("%s=%v: want more than zero", field.Tag.Get("envconfig"), d)
		}
	}
	if c.MaxMessage < 1<<20 {
		return fmt.Errorf("HOST_MAX_MESSAGE=%d: want at least %d bytes", c.MaxMessage, 1<<20)
	}
	for name, n := range map[string]int{"BASIC_MAX_CALLS": c.MaxCalls, "BASIC_MAX_PLUGIN_CALLS": c.MaxPluginCalls} {
		if n <= 0 {
			return fmt.Errorf("%s=%d: want more than zero", name, n)
		}
	}
	if _, err := c.policy(); err != nil {
		return err
	}
	if len(c.ContractVersions) == 0 {
		return fmt.Errorf("CONTRACT_VERSIONS is empty: want some of %v", knownVersions())
	}
	for _, v := range c.ContractVersions {
		if !slices.Contains(knownVersions(), v) {
			return fmt.Errorf("CONTRACT_VERSIONS names %d: want some of %v", v, knownVersions())
		}
	}
	return nil
}

func (c Config) policy() (balancer.Policy, error) {
	var p balancer.Policy
	if err := p.UnmarshalText([]byte(c.Balancer)); err != nil {
		return p, fmt.Errorf("BALANCER=%q: want round-robin or least-request", c.Balancer)
	}
	return p, nil
}

// tls names the files as the host's environment does.
func (c Config) tls() tlsfile.Files {
	return tlsfile.Files{
		Cert: c.TLSCertFile, Key: c.TLSKeyFile, CA: c.TLSCAFile,
		CertName: "HOST_TLS_CERT_FILE", KeyName: "HOST_TLS_KEY_FILE", CAName: "HOST_TLS_CA_FILE",
	}
}

func knownVersions() []int { return []int{commons.VersionNetRPC, commons.VersionGRPC} }
