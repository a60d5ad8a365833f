package peft

// #include "peft_go.h"
import "C"

import "runtime"

// ProbeOptions say how an adapter is probed.
type ProbeOptions struct {
	// Equal seeds give equal inputs.
	Seed uint64
	// The rows of random input that each layer gets, 1 to 4096; default 16.
	Rows int64
}

// A ProbeReport says what an adapter does to random input.
type ProbeReport struct {
	// The layers that the adapter has a part in, in module order.
	Lines []ProbeLine
	// Their number, and that of those whose output it does not change.
	NumSites     int64
	NumUnchanged int64
	// As in ProbeLine, over all layers.
	Ratio float64
	// The largest of a layer.
	MaxRatio float64
}

// A ProbeLine says what an adapter does to the output of one layer.
type ProbeLine struct {
	// The module.
	Name string
	// The norms over all rows of the base's output, without its bias, and of
	// what the adapter changes in it.
	BaseNorm  float64
	DeltaNorm float64
	// DeltaNorm / BaseNorm; infinite where only the base's is 0.
	Ratio float64
}

// ProbeAdapter feeds random input to every layer that adapter name ("": the
// first active one) has a part in, alone and with scale 1, and measures how
// much the output changes: an adapter that loaded but does nothing has ratios
// of 0. options may be nil.
func (m *Model) ProbeAdapter(name string, options *ProbeOptions) (*ProbeReport, error) {
	defer runtime.KeepAlive(m)
	var a arena
	cName := a.optionalArg(name)
	if a.err != nil {
		return nil, a.err
	}
	var cOptions C.peft_probe_options_t
	C.peft_probe_options_init(&cOptions, C.sizeof_peft_probe_options_t)
	if options != nil {
		cOptions.seed = C.uint64_t(options.Seed)
		if options.Rows != 0 {
			cOptions.rows = C.int64_t(options.Rows)
		}
	}
	var report *C.peft_probe_report_t
	if err := m.toError(C.peft_model_probe_adapter(m.c(), cName, &cOptions, &report)); err != nil {
		return nil, err
	}
	return takeProbeReport(report)
}

// takeProbeReport returns the report and frees it.
func takeProbeReport(report *C.peft_probe_report_t) (*ProbeReport, error) {
	defer C.peft_probe_report_free(report)
	var summary C.peft_probe_summary_t
	summary.struct_size = C.sizeof_peft_probe_summary_t
	if err := toError(C.peft_probe_report_get_summary(report, &summary)); err != nil {
		return nil, err
	}
	result := &ProbeReport{
		Lines:        make([]ProbeLine, C.peft_probe_report_count(report)),
		NumSites:     int64(summary.num_sites),
		NumUnchanged: int64(summary.num_unchanged),
		Ratio:        float64(summary.ratio),
		MaxRatio:     float64(summary.max_ratio),
	}
	var line C.peft_probe_line_t
	line.struct_size = C.sizeof_peft_probe_line_t
	for i := range result.Lines {
		if err := toError(C.peft_probe_report_get_line(report, C.size_t(i), &line)); err != nil {
			return nil, err
		}
		result.Lines[i] = ProbeLine{
			Name:      C.GoString(line.name),
			BaseNorm:  float64(line.base_norm),
			DeltaNorm: float64(line.delta_norm),
			Ratio:     float64(line.ratio),
		}
	}
	return result, nil
}
