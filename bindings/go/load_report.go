package peft

// #include "peft_go.h"
import "C"

// A LoadReport says what loading an adapter found.
type LoadReport struct {
	// What became of every tensor and config key.
	Lines []ReportLine
	// The number of sites that the adapter changes.
	NumSites int64
	// The number of elements of the tensors in use.
	NumParameters int64
}

// A ReportLine is about one tensor or config key.
type ReportLine struct {
	Kind   ReportKind
	Name   string // tensor name or config key; "" for most notes
	Detail string // a sentence, or the module
}

// Of returns the lines of kind.
func (r *LoadReport) Of(kind ReportKind) []ReportLine {
	var lines []ReportLine
	for _, line := range r.Lines {
		if line.Kind == kind {
			lines = append(lines, line)
		}
	}
	return lines
}

// takeLoadReport returns the report and frees it.
func takeLoadReport(report *C.peft_load_report_t) (*LoadReport, error) {
	defer C.peft_load_report_free(report)
	result := &LoadReport{
		Lines:         make([]ReportLine, C.peft_load_report_count(report, 0)),
		NumSites:      int64(C.peft_load_report_num_sites(report)),
		NumParameters: int64(C.peft_load_report_num_parameters(report)),
	}
	var line C.peft_report_line_t
	line.struct_size = C.sizeof_peft_report_line_t
	for i := range result.Lines {
		if err := toError(C.peft_load_report_get_line(report, C.size_t(i), &line)); err != nil {
			return nil, err
		}
		result.Lines[i] = ReportLine{
			Kind:   ReportKind(line.kind),
			Name:   C.GoString(line.name),
			Detail: C.GoString(line.detail),
		}
	}
	return result, nil
}
