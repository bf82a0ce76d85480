// Package telemetry holds what every part uses to be observed: the metrics
// registry, the logger, and the health checks behind the operations listener.
package telemetry
