package peft_test

import (
	"fmt"
	"os"
	"strings"

	"peft"
)

// A verb without results.
func doing(act func(*runner, *step) error) func(*runner, *step) (facts, error) {
	return func(r *runner, s *step) (facts, error) { return nil, act(r, s) }
}

// A verb that lists names.
func listing(list func(*peft.Model) ([]string, error)) func(*runner, *step) (facts, error) {
	return func(r *runner, s *step) (facts, error) {
		names, err := list(r.model)
		return facts{"names": names}, err
	}
}

func init() {
	verbs["load_adapter"] = func(r *runner, s *step) (facts, error) {
		return reported(r.model.LoadAdapter(background, s.Name, r.path(s.Path), loadOptions(s)))
	}
	verbs["replace_adapter"] = func(r *runner, s *step) (facts, error) {
		return reported(r.model.ReplaceAdapter(background, s.Name, r.path(s.Path), loadOptions(s)))
	}
	verbs["load_adapter_from_memory"] = func(r *runner, s *step) (facts, error) {
		return r.fromMemory(s, r.model.LoadAdapterFromMemory)
	}
	verbs["replace_adapter_from_memory"] = func(r *runner, s *step) (facts, error) {
		return r.fromMemory(s, r.model.ReplaceAdapterFromMemory)
	}
	verbs["add_adapter"] = doing((*runner).addAdapter)
	verbs["add_weighted_adapter"] = doing((*runner).addWeightedAdapter)
	verbs["rename_adapter"] = doing(func(r *runner, s *step) error {
		return r.model.RenameAdapter(s.Name, s.NewName)
	})
	verbs["delete_adapter"] = doing(func(r *runner, s *step) error {
		return r.model.DeleteAdapter(s.Names...)
	})
	verbs["unload"] = doing(func(r *runner, s *step) error { return r.model.Unload() })
	verbs["save_adapter"] = doing(func(r *runner, s *step) error {
		return r.model.SaveAdapter(s.Name, r.path(s.Path), &peft.SaveOptions{Overwrite: s.Overwrite != 0})
	})
	verbs["write_state_dict"] = doing((*runner).writeStateDict)
}

func init() {
	verbs["set_adapter"] = doing(func(r *runner, s *step) error {
		return r.model.SetAdapterScaled(s.Names, &peft.SetAdapterOptions{Scales: s.Scales})
	})
	verbs["set_scale"] = doing(func(r *runner, s *step) error {
		return r.model.SetScale(s.Name, s.Scale)
	})
	verbs["disable_adapters"] = doing(func(r *runner, s *step) error { return r.model.DisableAdapters() })
	verbs["enable_adapters"] = doing(func(r *runner, s *step) error { return r.model.EnableAdapters() })
	verbs["create_activation"] = doing(func(r *runner, s *step) (err error) {
		r.activations[s.Activation], err = r.model.NewActivation(s.Names, s.Scales)
		return err
	})
	verbs["free_activation"] = doing(func(r *runner, s *step) error {
		activation := r.activations[s.Activation]
		delete(r.activations, s.Activation)
		return activation.Close()
	})
	verbs["merge_adapter"] = doing(func(r *runner, s *step) error {
		options := peft.MergeOptions{Scales: s.Scales, SafeMerge: s.SafeMerge != 0}
		return r.model.MergeAdapter(s.Names, &options)
	})
	verbs["unmerge_adapter"] = doing(func(r *runner, s *step) error { return r.model.UnmergeAdapter() })
	verbs["merge_and_unload"] = doing(func(r *runner, s *step) error {
		options := peft.MergeAndUnloadOptions{Names: s.Names}
		return r.model.MergeAndUnload(background, r.path(s.Path), &options)
	})
	verbs["pin_adapter"] = doing(func(r *runner, s *step) error {
		return r.model.PinAdapter(s.Name, s.Pinned != 0)
	})
	verbs["set_adapter_limit"] = doing(func(r *runner, s *step) error {
		return r.model.SetAdapterLimit(s.MaxBytes, s.MaxAdapters)
	})
}

func init() {
	verbs["list_adapters"] = listing((*peft.Model).ListAdapters)
	verbs["active_adapters"] = listing((*peft.Model).ActiveAdapters)
	verbs["merged_adapters"] = listing((*peft.Model).MergedAdapters)
	verbs["has_adapter"] = func(r *runner, s *step) (facts, error) {
		has, err := r.model.HasAdapter(s.Name)
		return fieldsOf(struct{ Has bool }{has}), err
	}
	verbs["get_adapter_state_dict"] = (*runner).getStateDict
	verbs["get_adapter_info"] = func(r *runner, s *step) (facts, error) {
		info, err := r.model.AdapterInfo(s.Name)
		return fieldsOf(info), err
	}
	verbs["get_adapter_config"] = func(r *runner, s *step) (facts, error) {
		return parsed(r.model.AdapterConfig(s.Name))
	}
	verbs["get_adapter_source"] = func(r *runner, s *step) (facts, error) {
		source, err := r.model.AdapterSource(s.Name)
		return endOf(s, source), err
	}
	verbs["fetch_adapter"] = func(r *runner, s *step) (facts, error) {
		folder, err := peft.FetchAdapter(background, r.path(s.Path), nil)
		return endOf(s, folder), err
	}
	verbs["estimate_adapter"] = func(r *runner, s *step) (facts, error) {
		estimate, err := peft.EstimateAdapter(r.path(s.Path), "")
		return fieldsOf(estimate), err
	}
	verbs["inspect_adapter"] = func(r *runner, s *step) (facts, error) {
		return parsed(peft.InspectAdapter(r.path(s.Path), "", nil))
	}
	verbs["probe_adapter"] = func(r *runner, s *step) (facts, error) {
		report, err := r.model.ProbeAdapter(s.Name, nil)
		if err != nil {
			return nil, err
		}
		return fieldsOf(*report), nil
	}
}

func loadOptions(s *step) *peft.LoadOptions {
	return &peft.LoadOptions{Lenient: s.Lenient != 0, IsTrainable: s.IsTrainable != 0}
}

func reported(report *peft.LoadReport, err error) (facts, error) {
	if err != nil {
		return nil, err
	}
	return facts{
		"matched":        len(report.Of(peft.ReportMatched)),
		"missing":        len(report.Of(peft.ReportMissing)),
		"unexpected":     len(report.Of(peft.ReportUnexpected)),
		"mismatched":     len(report.Of(peft.ReportMismatched)),
		"ignored_keys":   len(report.Of(peft.ReportIgnoredKey)),
		"num_sites":      report.NumSites,
		"num_parameters": report.NumParameters,
	}, nil
}

type fromMemory func(string, string, *peft.StateDict, *peft.LoadOptions) (*peft.LoadReport, error)

func (r *runner) fromMemory(s *step, load fromMemory) (facts, error) {
	config, err := os.ReadFile(r.path(s.Config))
	if err != nil {
		return nil, err
	}
	tensors, err := peft.ReadStateDict(r.path(s.Tensors))
	if err != nil {
		return nil, err
	}
	defer tensors.Close()
	return reported(load(s.Name, string(config), tensors, loadOptions(s)))
}

func (r *runner) addAdapter(s *step) error {
	config, err := os.ReadFile(r.path(s.Config))
	if err != nil {
		return err
	}
	return r.model.AddAdapter(s.Name, string(config), &peft.AddAdapterOptions{Seed: s.Seed})
}

func (r *runner) addWeightedAdapter(s *step) error {
	options := peft.CombineOptions{SVDRank: s.SVDRank, Density: s.Density}
	name := strings.ToUpper(s.CombinationType)
	for kind := peft.CombineSVD; kind <= peft.CombineMagnitudePruneSVD; kind++ {
		if kind.String() == name {
			options.CombinationType = kind
		}
	}
	if options.CombinationType == 0 {
		return fmt.Errorf("unknown combination type %s", s.CombinationType)
	}
	return r.model.AddWeightedAdapter(s.NewName, s.Names, s.Weights, &options)
}

func (r *runner) writeStateDict(s *step) error {
	dict, err := r.model.AdapterStateDict(s.Name)
	if err != nil {
		return err
	}
	defer dict.Close()
	return dict.Write(r.path(s.Path))
}

func (r *runner) getStateDict(s *step) (facts, error) {
	dict, err := r.model.AdapterStateDict(s.Name)
	if err != nil {
		return nil, err
	}
	defer dict.Close()
	tensors := []facts{}
	for _, name := range dict.Names() {
		tensor, err := dict.Get(name)
		if err != nil {
			return nil, err
		}
		found, err := tensorFacts(name, tensor.View())
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, found)
		tensor.Close()
	}
	return facts{"tensors": tensors}, nil
}
