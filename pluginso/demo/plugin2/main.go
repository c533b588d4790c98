// SPDX-License-Identifier: MPL-2.0

// Command plugin2 has the same symbols as plugin1 and does something else.
package main

import "fmt"

// I is read and changed by the host. Host and plugin see the same variable.
var I = 200

// Run does this plugin's work: it counts how often it ran.
func Run() {
	I += 22
	fmt.Println("plugin2: running, and counting on from I")
}

// PrintI shows I as the plugin sees it.
func PrintI() { fmt.Printf("plugin2: I is %d, or %#x\n", I, I) }

// A package main needs one, also where nobody ever calls it.
func main() {}
