// SPDX-License-Identifier: MPL-2.0

// Command plugin1 is a shared object for the demo: a function, a variable and
// a function that shows the variable.
package main

import "fmt"

// I is read and changed by the host. Host and plugin see the same variable.
var I = 1

// Run does this plugin's work.
func Run() { fmt.Println("plugin1: running") }

// PrintI shows I as the plugin sees it.
func PrintI() { fmt.Println("plugin1: I is", I) }

// A package main needs one, also where nobody ever calls it.
func main() {}
