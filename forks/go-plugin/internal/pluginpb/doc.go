// SPDX-License-Identifier: MPL-2.0

// Package pluginpb holds the services that a session runs beside the plugin's
// own. Package plugin is what every go-plugin peer speaks; reattach.v1 is used
// between two peers that agreed on it in their hello.
package pluginpb

//go:generate sh generate.sh
