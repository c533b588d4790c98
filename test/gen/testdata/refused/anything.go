// SPDX-License-Identifier: MPL-2.0

package refused

type Config struct {
	Name    string
	Options map[string]any
}

type Configurable interface {
	Configure(c Config) error // want `parameter c: Config\.Options\[\]: any may be anything`
}
