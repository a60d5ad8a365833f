package peft

// #include "peft_go.h"
import "C"

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"unsafe"
)

// A File is a file of a model's or an adapter's folder that is somewhere else.
type File struct {
	name   string
	size   int64
	kind   C.int32_t
	from   io.ReaderAt    // of PEFT_FILE_READ
	file   *os.File       // of PEFT_FILE_FD
	offset int64          // of PEFT_FILE_FD
	data   unsafe.Pointer // of PEFT_FILE_MEMORY, C's
	shared bool           // of PEFT_FILE_MEMORY
}

// FileOfReader returns a file of size bytes that from has, under the name that
// the folder would have it: "adapter_config.json". It is read on the goroutine
// that calls, one read at a time; a context ends it between two reads, and so
// does an error, which the call's error wraps.
func FileOfReader(name string, from io.ReaderAt, size int64) File {
	return File{name: name, size: size, kind: C.PEFT_FILE_READ, from: from}
}

// FileOfBytes returns a file of these bytes. Tensors are copied.
func FileOfBytes(name string, data []byte) File {
	return FileOfReader(name, bytes.NewReader(data), int64(len(data)))
}

// FileOfPart returns a file that is a part of another, as a packaged asset is.
// The position in the other stays as it is, and it may be closed after the call.
func FileOfPart(name string, file *os.File, offset, size int64) File {
	return File{name: name, size: size, kind: C.PEFT_FILE_FD, file: file, offset: offset}
}

// FileAt returns a file in memory that is not Go's. With shared the tensors stay
// where they are: the memory must then neither change nor go before all was
// closed that was made of it (the model, and tensors, state dicts and activations
// that it gave) and all calls have returned. Else it is read in the call.
func FileAt(name string, data unsafe.Pointer, size int64, shared bool) File {
	return File{name: name, size: size, kind: C.PEFT_FILE_MEMORY, data: data, shared: shared}
}

// FilesOf returns the files of a folder of fsys, as of an embed.FS.
func FilesOf(fsys fs.FS, folder string) ([]File, error) {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		data, err := fs.ReadFile(fsys, path.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, FileOfBytes(entry.Name(), data))
	}
	return files, nil
}

// A fileReader is a file's part of a call.
type fileReader struct {
	call *call
	from io.ReaderAt
}

// filesInC returns files in memory of C. They must be kept alive during the call.
func filesInC(a *arena, files []File, call *call) (*C.peft_file_t, C.size_t) {
	cFiles := allocate[C.peft_file_t](a, len(files))
	for i := range files {
		file, cFile := &files[i], &cFiles[i]
		C.peft_file_init(cFile, C.sizeof_peft_file_t)
		cFile.name = a.text(file.name)
		cFile.kind = file.kind
		cFile.size = C.int64_t(file.size)
		cFile.offset = C.int64_t(file.offset)
		cFile.data = file.data
		cFile.copy_data = flag(!file.shared)
		if file.file != nil {
			cFile.fd = C.int32_t(file.file.Fd())
		}
		if file.from != nil {
			cFile.read = C.peft_read_fn(C.peftGoRead)
			cFile.user_data = a.userData(&fileReader{call, file.from})
		}
	}
	return pointer[C.peft_file_t](cFiles), C.size_t(len(files))
}

// EstimateFiles is EstimateAdapter of an adapter whose folder is these files.
func EstimateFiles(files []File) (AdapterEstimate, error) {
	defer runtime.KeepAlive(files)
	var a arena
	defer a.free()
	call := newCall(context.Background())
	cFiles, count := filesInC(&a, files, call)
	if a.err != nil {
		return AdapterEstimate{}, a.err
	}
	var estimate C.peft_adapter_estimate_t
	estimate.struct_size = C.sizeof_peft_adapter_estimate_t
	if err := call.finish(toError(C.peft_estimate_files(cFiles, count, &estimate))); err != nil {
		return AdapterEstimate{}, err
	}
	return newEstimate(&estimate), nil
}

// InspectFiles is InspectAdapter of an adapter whose folder is these files.
func InspectFiles(files []File, model *Model) (string, error) {
	defer runtime.KeepAlive(files)
	defer runtime.KeepAlive(model)
	var a arena
	defer a.free()
	call := newCall(context.Background())
	cFiles, count := filesInC(&a, files, call)
	if a.err != nil {
		return "", a.err
	}
	var json *C.peft_string_t
	if err := call.finish(toError(C.peft_inspect_files(cFiles, count, model.c(), &json))); err != nil {
		return "", err
	}
	return takeString(json), nil
}
