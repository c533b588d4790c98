// SPDX-License-Identifier: MPL-2.0

package refused

type Watcher interface {
	Watch(path string, changed func(string)) error // want `parameter changed: a function cannot leave its process: pass an interface with one method`
}
