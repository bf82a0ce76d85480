package telemetry

import "runtime/debug"

// Version gives what the build set or, where it set nothing, what the module system
// knows of the program.
func Version(set string) string {
	if set != "" {
		return set
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
