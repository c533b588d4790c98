// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/kelseyhightower/envconfig"

	"github.com/reattach/reattach/commons"
)

// Config is what the host reads from its environment.
type Config struct {
	// PluginDir is where executables named *.po are. Empty means none.
	PluginDir string `envconfig:"PLUGIN_DIR" default:"./bin" desc:"directory of *.po executables to start as children; empty for none"`
	// NetworkPlugin are addresses, host:port, of plugins that run elsewhere.
	NetworkPlugin []string `envconfig:"NETWORK_PLUGIN" desc:"comma list of host:port where network plugins listen"`
	// GreetName is who is greeted.
	GreetName string `envconfig:"GREET_NAME" default:"someone" desc:"who is greeted"`
	// LogLevel is the least level of what is logged to stderr.
	LogLevel string `envconfig:"LOG_LEVEL" default:"info" desc:"trace, debug, info, warn, error or off; logs go to stderr"`
	// AttachTimeout bounds starting or reaching one plugin.
	AttachTimeout time.Duration `envconfig:"ATTACH_TIMEOUT" default:"10s" desc:"how long starting or reaching a plugin may take"`
	// CallTimeout bounds each question to a plugin.
	CallTimeout time.Duration `envconfig:"CALL_TIMEOUT" default:"10s" desc:"how long a plugin may take to answer one question"`
	// ContractVersions are the versions of the contract that the host speaks.
	ContractVersions []int `envconfig:"CONTRACT_VERSIONS" default:"1,2" desc:"versions of the contract to speak: 1 is net/rpc, 2 is gRPC"`
}

// ReadConfig reads the environment. An error names the variable and what is wrong.
func ReadConfig() (Config, error) {
	var c Config
	if err := envconfig.Process("", &c); err != nil {
		return Config{}, readable(err)
	}
	c.NetworkPlugin = addresses(c.NetworkPlugin)
	return c, c.validate()
}

// readable names the variable of a value that did not parse, as the other errors do.
func readable(err error) error {
	if parse, ok := err.(*envconfig.ParseError); ok {
		return fmt.Errorf("%s=%q: want a %s", parse.KeyName, parse.Value, parse.TypeName)
	}
	return err
}

// addresses trims what people write around commas.
func addresses(list []string) []string {
	var trimmed []string
	for _, a := range list {
		if a = strings.TrimSpace(a); a != "" {
			trimmed = append(trimmed, a)
		}
	}
	return trimmed
}

func (c Config) validate() error {
	if hclog.LevelFromString(c.LogLevel) == hclog.NoLevel {
		return fmt.Errorf("LOG_LEVEL=%q: want trace, debug, info, warn, error or off", c.LogLevel)
	}
	for name, d := range map[string]time.Duration{"ATTACH_TIMEOUT": c.AttachTimeout, "CALL_TIMEOUT": c.CallTimeout} {
		if d <= 0 {
			return fmt.Errorf("%s=%v: want more than zero", name, d)
		}
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

func knownVersions() []int { return []int{commons.VersionNetRPC, commons.VersionGRPC} }
