// SPDX-License-Identifier: MPL-2.0

// Package pluginpb holds the services that a session runs beside the plugin's
// own, as every go-plugin peer speaks them.
package pluginpb

//go:generate sh generate.sh
