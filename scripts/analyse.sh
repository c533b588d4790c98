# SPDX-License-Identifier: MPL-2.0
# To be sourced by scripts that look over packages without running them.

# analyse MODULE COMMAND...: runs it so that what is compiled for it is what make test needs
# too, dependencies with the race detector. Of test/consumers only the programs depend on
# much, hundreds of packages, and these are built without it.
analyse() {
	local module=$1 race=' -race'
	shift
	case $module in *test/consumers*) race='' ;; esac
	GOFLAGS="${GOFLAGS:-}$race" "$@"
}
