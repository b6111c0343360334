; What compiled kernels stand on: a pool of threads, and an allocator that keeps large blocks for the next array.
;
; Written in LLVM's own language because it must run without the GIL, without Python, and without a C compiler on the
; user's machine. It knows no target: it needs only pthreads and the C library's allocator.

declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare ptr @malloc(i64)
declare ptr @calloc(i64, i64)
declare i64 @malloc_usable_size(ptr)
declare void @free(ptr)
declare i32 @posix_memalign(ptr, i64, i64)
declare i32 @madvise(ptr, i64, i32)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
declare { i64, i1 } @llvm.umul.with.overflow.i64(i64, i64)
declare i64 @llvm.ctlz.i64(i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; --- threads ----------------------------------------------------------------------------------------------------------
;
; One job at a time: `count` tasks, of which each thread has a share, the same whenever a job has as many: what a
; thread wrote in the last job lies in its processor's caches when it is read in the next. A copy of four megabytes that
; do takes half the time. Who is done with its own share helps with the others. The caller works too. A job offers as
; many tickets as it wants helpers; what no helper has claimed by the time the work is done is taken back, so that a
; caller never waits for a thread which the system hasn't scheduled. A second caller, while a job runs, works alone.
;
; Waking a sleeping thread takes longer than many a kernel. So a helper that has nothing to do keeps looking for a while,
; some 0.3 ms, before it sleeps: `relax` (given by native.py) tells the processor that it only waits. Before a library
; with threads of its own is called, `rest` sends helpers to sleep, for the two would compete for the processors.

@mutex = internal global [128 x i8] zeroinitializer, align 64
@work = internal global [128 x i8] zeroinitializer, align 64       ; condition: there is a new job
@done = internal global [128 x i8] zeroinitializer, align 64       ; condition: the last helper has finished
@busy = internal global i64 0, align 64
@generation = internal global i64 0, align 64                      ; number of the newest job
@next = internal global [64 x [8 x i64]] zeroinitializer, align 64  ; of each share, the first task that nobody has taken
@shares = internal global i64 1                                    ; into which the job is parted, at most 64
@tickets = internal global i64 0, align 64
@running = internal global i64 0, align 64                         ; helpers that have claimed a ticket and not finished
@fn = internal global ptr null
@arg = internal global ptr null
@total = internal global i64 0
@resting = internal global i64 0                                   ; whether helpers are to sleep at once
@limit = internal global i64 1                                     ; threads that a job may use, the caller included

define void @wengert_threads_reset(i64 %threads) {
  %1 = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %2 = call i32 @pthread_cond_init(ptr @work, ptr null)
  %3 = call i32 @pthread_cond_init(ptr @done, ptr null)
  store i64 0, ptr @busy
  store i64 0, ptr @generation
  store i64 0, ptr @tickets
  store i64 0, ptr @running
  store i64 %threads, ptr @limit
  ret void
}

define void @wengert_threads_limit(i64 %threads) {
  store atomic i64 %threads, ptr @limit seq_cst, align 64
  ret void
}

define void @wengert_threads_rest() {
  store atomic i64 1, ptr @resting monotonic, align 8
  ret void
}

define internal i64 @start_of(i64 %share, i64 %shares, i64 %count) alwaysinline {
  %p = mul i64 %share, %count
  %start = udiv i64 %p, %shares
  ret i64 %start
}

; Work as thread `me`, on its own share first. Tasks are taken some at a time, a sixteenth of a share, so that threads
; rarely meet at a counter and none waits long for the last. To take the next is also what brings everything into order
; that was streamed.
define internal void @take_tasks(ptr %fn, ptr %arg, i64 %count, i64 %me) {
entry:
  %shares = load i64, ptr @shares
  %parts = shl i64 %shares, 4
  %part = udiv i64 %count, %parts
  %some = call i64 @llvm.umax.i64(i64 %part, i64 1)
  br label %turn
turn:
  %v = phi i64 [ 0, %entry ], [ %v1, %exhausted ]
  %number = add i64 %me, %v
  %share = urem i64 %number, %shares
  %beyond = add i64 %share, 1
  %end = call i64 @start_of(i64 %beyond, i64 %shares, i64 %count)
  %next = getelementptr [64 x [8 x i64]], ptr @next, i64 0, i64 %share
  br label %loop
loop:
  %first = atomicrmw add ptr %next, i64 %some acq_rel
  %more = icmp ult i64 %first, %end
  br i1 %more, label %begin, label %exhausted
begin:
  %after = add i64 %first, %some
  %last = call i64 @llvm.umin.i64(i64 %after, i64 %end)
  br label %task
task:
  %i = phi i64 [ %first, %begin ], [ %i1, %task ]
  call void %fn(ptr %arg, i64 %i)
  %i1 = add i64 %i, 1
  %again = icmp ult i64 %i1, %last
  br i1 %again, label %task, label %loop
exhausted:
  %v1 = add i64 %v, 1
  %others = icmp ult i64 %v1, %shares
  br i1 %others, label %turn, label %done
done:
  ret void
}

; Run fn(arg, i) for each i below count.
define void @wengert_parallel(ptr %fn, ptr %arg, i64 %count) {
entry:
  %limit = load atomic i64, ptr @limit monotonic, align 64
  %wanted = call i64 @llvm.umin.i64(i64 %limit, i64 %count)
  %enough = call i64 @llvm.umin.i64(i64 %wanted, i64 64)
  %single = icmp ule i64 %enough, 1
  br i1 %single, label %alone, label %claim
claim:
  %pair = cmpxchg ptr @busy, i64 0, i64 1 acq_rel monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %start, label %alone
start:
  %helpers = sub i64 %enough, 1
  store atomic i64 0, ptr @resting monotonic, align 8
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  store ptr %fn, ptr @fn
  store ptr %arg, ptr @arg
  store i64 %count, ptr @total
  store i64 %enough, ptr @shares
  br label %part
part:
  %share = phi i64 [ 0, %start ], [ %share1, %part ]
  %from = call i64 @start_of(i64 %share, i64 %enough, i64 %count)
  %next = getelementptr [64 x [8 x i64]], ptr @next, i64 0, i64 %share
  store atomic i64 %from, ptr %next seq_cst, align 64
  %share1 = add i64 %share, 1
  %unparted = icmp ult i64 %share1, %enough
  br i1 %unparted, label %part, label %offer
offer:
  store i64 %helpers, ptr @tickets
  %g = load i64, ptr @generation
  %g1 = add i64 %g, 1
  store atomic i64 %g1, ptr @generation seq_cst, align 64
  %b = call i32 @pthread_cond_broadcast(ptr @work)
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @take_tasks(ptr %fn, ptr %arg, i64 %count, i64 0)
  %l2 = call i32 @pthread_mutex_lock(ptr @mutex)
  store i64 0, ptr @tickets
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %spin
spin:                                             ; helpers are usually a few microseconds from their end
  %s = phi i64 [ 0, %offer ], [ %s1, %again ]
  %r = load atomic i64, ptr @running acquire, align 64
  %zero = icmp eq i64 %r, 0
  br i1 %zero, label %finished, label %again
again:
  call void @relax()
  %s1 = add i64 %s, 1
  %patient = icmp ult i64 %s1, 16384
  br i1 %patient, label %spin, label %sleep
sleep:
  %l3 = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %waiting
waiting:
  %r2 = load atomic i64, ptr @running acquire, align 64
  %zero2 = icmp eq i64 %r2, 0
  br i1 %zero2, label %awake, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr @done, ptr @mutex)
  br label %waiting
awake:
  %u3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %finished
finished:
  store atomic i64 0, ptr @busy release, align 64
  ret void
alone:
  %i = phi i64 [ 0, %entry ], [ 0, %claim ], [ %i1, %task ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %task, label %end
task:
  call void %fn(ptr %arg, i64 %i)
  %i1 = add i64 %i, 1
  br label %alone
end:
  ret void
}

; The life of a helper, which is given its number, from 1 on.
define ptr @wengert_worker(ptr %number) {
entry:
  %me = ptrtoint ptr %number to i64
  br label %idle
idle:
  %last = phi i64 [ 0, %entry ], [ %seen, %idle_again ]
  br label %spin
spin:                                             ; kernels come in quick succession; sleep only if none does
  %s = phi i64 [ 0, %idle ], [ %s1, %spin_again ]
  %now = load atomic i64, ptr @generation acquire, align 64
  %new = icmp ne i64 %now, %last
  br i1 %new, label %lock, label %spin_again
spin_again:
  call void @relax()
  %s1 = add i64 %s, 1
  %rest = load atomic i64, ptr @resting monotonic, align 8
  %rested = icmp ne i64 %rest, 0
  %bound = select i1 %rested, i64 0, i64 16384
  %patient = icmp ult i64 %s1, %bound
  br i1 %patient, label %spin, label %lock
lock:
  %l = call i32 @pthread_mutex_lock(ptr @mutex)
  br label %look
look:
  %seen = load i64, ptr @generation
  %fresh = icmp ne i64 %seen, %last
  br i1 %fresh, label %ticket, label %wait
wait:
  %w = call i32 @pthread_cond_wait(ptr @work, ptr @mutex)
  br label %look
ticket:
  %t = load i64, ptr @tickets
  %free = icmp ne i64 %t, 0
  br i1 %free, label %claim, label %idle_unlock
claim:
  %t1 = sub i64 %t, 1
  store i64 %t1, ptr @tickets
  %r = atomicrmw add ptr @running, i64 1 acq_rel
  %fn = load ptr, ptr @fn
  %arg = load ptr, ptr @arg
  %count = load i64, ptr @total
  %u = call i32 @pthread_mutex_unlock(ptr @mutex)
  call void @take_tasks(ptr %fn, ptr %arg, i64 %count, i64 %me)
  %left = atomicrmw sub ptr @running, i64 1 acq_rel
  %lastone = icmp eq i64 %left, 1
  br i1 %lastone, label %report, label %idle_again
report:
  %l2 = call i32 @pthread_mutex_lock(ptr @mutex)
  %sg = call i32 @pthread_cond_signal(ptr @done)
  %u2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %idle_again
idle_unlock:
  %u3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %idle_again
idle_again:
  br label %idle
}

; --- memory -----------------------------------------------------------------------------------------------------------
;
; NumPy asks here for the memory of every array (a PyDataMem_Handler, NEP 49). What is small goes on to the handler that
; was there before. A large block is rounded up to one of eight sizes per power of two; when its array dies the block is
; kept in the list of its size (its first word points to the next), and given to the next array of that size: its pages
; are already there.
;
; Kept and used together never exceed the most that was ever used at once by more than an eighth: before asking the
; system for a new block, kept ones are given back, the largest first. (Without the eighth, a loop whose steps need blocks
; of one size now and of another later gives back in each step what the next one needs.)

%stats = type { i64, i64, i64, i64, i64, i64, i64, i64 }
; 0 used, 1 peak of used, 2 kept, 3 allocations, 4 reuses, 5 limit of kept, 6 bytes given back, 7 peak ever
@stats = internal global %stats zeroinitializer, align 64
@lists = internal global [512 x ptr] zeroinitializer, align 64
@guard = internal global i64 0, align 64
@smallest = internal global i64 65536, align 8

%handler = type { ptr, ptr, ptr, ptr, ptr }        ; context, malloc, calloc, realloc, free
@small = internal global %handler zeroinitializer

define ptr @wengert_memory_stats() {
  ret ptr @stats
}

define void @wengert_memory_configure(ptr %before, i64 %smallest, i64 %limit) {
  call void @llvm.memcpy.p0.p0.i64(ptr @small, ptr %before, i64 40, i1 false)
  store i64 %smallest, ptr @smallest
  %p = getelementptr %stats, ptr @stats, i64 0, i32 5
  store i64 %limit, ptr %p
  ret void
}

; Each holder of the guard also holds the GIL (or, without one, leaves within nanoseconds).
define internal void @acquire() {
entry:
  br label %try
try:
  %pair = cmpxchg ptr @guard, i64 0, i64 1 acquire monotonic
  %ok = extractvalue { i64, i1 } %pair, 1
  br i1 %ok, label %got, label %try
got:
  ret void
}

define internal void @release() {
  store atomic i64 0, ptr @guard release, align 64
  ret void
}

define void @wengert_memory_after_fork() {
  call void @release()
  ret void
}

define internal ptr @stat(i32 %which) {
  %p = getelementptr [8 x i64], ptr @stats, i64 0, i32 %which
  ret ptr %p
}

define internal i64 @count(i32 %which, i64 %change) {
  %p = call ptr @stat(i32 %which)
  %old = load i64, ptr %p
  %new = add i64 %old, %change
  store i64 %new, ptr %p
  ret i64 %new
}

define internal i64 @raise(i32 %which, i64 %least) {
  %p = call ptr @stat(i32 %which)
  %old = load i64, ptr %p
  %new = call i64 @llvm.umax.i64(i64 %old, i64 %least)
  store i64 %new, ptr %p
  ret i64 %new
}

; The class of a size (its power of two, and which eighth of the way to the next): class c holds blocks of size_of(c).
define internal i64 @class_of(i64 %size) {
  %less = sub i64 %size, 1
  %zeros = call i64 @llvm.ctlz.i64(i64 %less, i1 false)
  %log = sub i64 63, %zeros
  %shift = sub i64 %log, 3
  %eighth = lshr i64 %less, %shift
  %within = and i64 %eighth, 7
  %base = shl i64 %log, 3
  %c = or i64 %base, %within
  ret i64 %c
}

define internal i64 @size_of(i64 %class) {
  %log = lshr i64 %class, 3
  %within = and i64 %class, 7
  %nine = add i64 %within, 9
  %shift = sub i64 %log, 3
  %size = shl i64 %nine, %shift
  ret i64 %size
}

; Give kept blocks back to the system, the largest first, until no more than `target` bytes are kept. Under the guard.
define internal void @trim(i64 %target) {
entry:
  br label %class
class:
  %c = phi i64 [ 511, %entry ], [ %c1, %next_class ]
  %list = getelementptr [512 x ptr], ptr @lists, i64 0, i64 %c
  br label %block
block:
  %kept_p = call ptr @stat(i32 2)
  %kept = load i64, ptr %kept_p
  %over = icmp ugt i64 %kept, %target
  br i1 %over, label %look, label %end
look:
  %head = load ptr, ptr %list
  %none = icmp eq ptr %head, null
  br i1 %none, label %next_class, label %drop
drop:
  %second = load ptr, ptr %head
  store ptr %second, ptr %list
  call void @give_back(ptr %head)
  %size = call i64 @size_of(i64 %c)
  %less = sub i64 0, %size
  %k = call i64 @count(i32 2, i64 %less)
  %t = call i64 @count(i32 6, i64 %size)
  br label %block
next_class:
  %c1 = sub i64 %c, 1
  %last = icmp eq i64 %c, 0
  br i1 %last, label %end, label %class
end:
  ret void
}

define void @wengert_memory_trim(i64 %target) {
  call void @acquire()
  call void @trim(i64 %target)
  call void @release()
  ret void
}

; A kept block of this class, or of the next larger ones up to twice the size (its pages are there, fresh ones would
; have to be cleared), or null; counted as used either way, and room made for a new one.
define internal ptr @take(i64 %class) {
entry:
  %beyond = add i64 %class, 8
  call void @acquire()
  br label %look
look:
  %c = phi i64 [ %class, %entry ], [ %c1, %larger ]
  %list = getelementptr [512 x ptr], ptr @lists, i64 0, i64 %c
  %head = load ptr, ptr %list
  %none = icmp eq ptr %head, null
  br i1 %none, label %larger, label %reuse
larger:
  %c1 = add i64 %c, 1
  %more = icmp ule i64 %c1, %beyond
  br i1 %more, label %look, label %fresh
reuse:
  %second = load ptr, ptr %head
  store ptr %second, ptr %list
  %held = call i64 @using(i64 %c)
  %less = sub i64 0, %held
  %k = call i64 @count(i32 2, i64 %less)
  %m = call i64 @count(i32 4, i64 1)
  call void @release()
  ret ptr %head
fresh:
  %full = call i64 @using(i64 %class)
  %used_p = call ptr @stat(i32 0)
  %used = load i64, ptr %used_p
  %most_p = call ptr @stat(i32 7)
  %most = load i64, ptr %most_p
  %slack = lshr i64 %most, 3
  %roof = add i64 %most, %slack
  %room = sub i64 %roof, %used
  call void @trim(i64 %room)
  call void @release()
  ret ptr null
}

; Count a block of this class as used; its size.
define internal i64 @using(i64 %class) {
  %full = call i64 @size_of(i64 %class)
  %used = call i64 @count(i32 0, i64 %full)
  %peak = call i64 @raise(i32 1, i64 %used)
  %most = call i64 @raise(i32 7, i64 %used)
  %n = call i64 @count(i32 3, i64 1)
  ret i64 %full
}

; A large block bears its class and a mark in the last 16 bytes that the C library gave: NumPy does not always know how
; much it asked for (`resize` and `fromiter` don't say), and a block from elsewhere must not enter our lists.
define internal ptr @mark_of(ptr %block) {
  %usable = call i64 @malloc_usable_size(ptr %block)
  %at = sub i64 %usable, 16
  %p = getelementptr i8, ptr %block, i64 %at
  ret ptr %p
}

define internal ptr @marked(ptr %block, i64 %class) {
entry:
  %null = icmp eq ptr %block, null
  br i1 %null, label %end, label %mark
mark:
  %p = call ptr @mark_of(ptr %block)
  store i64 %class, ptr %p, align 1
  %q = getelementptr i8, ptr %p, i64 8
  store i64 8603657889541918976, ptr %q, align 1
  br label %end
end:
  ret ptr %block
}

; To the C library, without the mark: it may hand out the same place as a block that is none of ours.
define internal void @give_back(ptr %block) {
  %p = call ptr @mark_of(ptr %block)
  %q = getelementptr i8, ptr %p, i64 8
  store i64 0, ptr %q, align 1
  call void @free(ptr %block)
  ret void
}

; The class of a large block, or -1 for one that is none of ours.
define internal i64 @class_marked(ptr %block) {
entry:
  %usable = call i64 @malloc_usable_size(ptr %block)
  %smallest = load i64, ptr @smallest
  %large = icmp ugt i64 %usable, %smallest
  br i1 %large, label %look, label %no
look:
  %p = call ptr @mark_of(ptr %block)
  %q = getelementptr i8, ptr %p, i64 8
  %magic = load i64, ptr %q, align 1
  %right = icmp eq i64 %magic, 8603657889541918976
  br i1 %right, label %yes, label %no
yes:
  %class = load i64, ptr %p, align 1
  ret i64 %class
no:
  ret i64 -1
}

; The system refused: give everything back and ask once more.
define internal ptr @retry(i64 %class) {
entry:
  call void @wengert_memory_trim(i64 0)
  %full = call i64 @size_of(i64 %class)
  %asked = add i64 %full, 16
  %p = call ptr @malloc(i64 %asked)
  %null = icmp eq ptr %p, null
  br i1 %null, label %undo, label %given
undo:
  %less = sub i64 0, %full
  call void @acquire()
  %u = call i64 @count(i32 0, i64 %less)
  call void @release()
  ret ptr null
given:
  %m = call ptr @marked(ptr %p, i64 %class)
  ret ptr %p
}

define ptr @wengert_malloc(ptr %context, i64 %size) {
entry:
  %smallest = load i64, ptr @smallest
  %small = icmp ult i64 %size, %smallest
  br i1 %small, label %plain, label %large
plain:
  %f_p = getelementptr %handler, ptr @small, i64 0, i32 1
  %f = load ptr, ptr %f_p
  %c = load ptr, ptr @small
  %p = tail call ptr %f(ptr %c, i64 %size)
  ret ptr %p
large:
  %absurd = icmp ugt i64 %size, 1152921504606846975
  br i1 %absurd, label %refuse, label %sized
refuse:
  ret ptr null
sized:
  %class = call i64 @class_of(i64 %size)
  %kept = call ptr @take(i64 %class)
  %none = icmp eq ptr %kept, null
  br i1 %none, label %fresh, label %reuse
reuse:
  ret ptr %kept
fresh:
  %slot = alloca ptr
  %full = call i64 @size_of(i64 %class)
  %asked = add i64 %full, 16
  %big = icmp uge i64 %full, 4194304
  %alignment = select i1 %big, i64 2097152, i64 64
  %failed = call i32 @posix_memalign(ptr %slot, i64 %alignment, i64 %asked)
  %bad = icmp ne i32 %failed, 0
  br i1 %bad, label %again, label %given
again:
  %p2 = call ptr @retry(i64 %class)
  ret ptr %p2
given:
  %block = load ptr, ptr %slot
  br i1 %big, label %pages, label %done
pages:                                            ; large pages where the system has them (Linux; elsewhere no effect)
  %advised = call i32 @madvise(ptr %block, i64 %full, i32 14)
  br label %done
done:
  %m = call ptr @marked(ptr %block, i64 %class)
  ret ptr %block
}

define void @wengert_free(ptr %context, ptr %block, i64 %size) {
entry:
  %smallest = load i64, ptr @smallest
  %small = icmp ult i64 %size, %smallest
  br i1 %small, label %plain, label %large
plain:
  %f_p = getelementptr %handler, ptr @small, i64 0, i32 4
  %f = load ptr, ptr %f_p
  %c = load ptr, ptr @small
  tail call void %f(ptr %c, ptr %block, i64 %size)
  ret void
large:
  %class = call i64 @class_marked(ptr %block)
  %foreign = icmp eq i64 %class, -1
  br i1 %foreign, label %theirs, label %ours
theirs:
  call void @free(ptr %block)
  ret void
ours:
  %full = call i64 @size_of(i64 %class)
  %less = sub i64 0, %full
  %list = getelementptr [512 x ptr], ptr @lists, i64 0, i64 %class
  call void @acquire()
  %u = call i64 @count(i32 0, i64 %less)
  %kept = call i64 @count(i32 2, i64 %full)
  %limit_p = call ptr @stat(i32 5)
  %limit = load i64, ptr %limit_p
  %fits = icmp ule i64 %kept, %limit
  br i1 %fits, label %keep, label %drop
keep:
  %head = load ptr, ptr %list
  store ptr %head, ptr %block
  store ptr %block, ptr %list
  call void @release()
  ret void
drop:
  %k = call i64 @count(i32 2, i64 %less)
  call void @release()
  call void @give_back(ptr %block)
  ret void
}

define ptr @wengert_calloc(ptr %context, i64 %count, i64 %each) {
entry:
  %product = call { i64, i1 } @llvm.umul.with.overflow.i64(i64 %count, i64 %each)
  %overflow = extractvalue { i64, i1 } %product, 1
  %size = extractvalue { i64, i1 } %product, 0
  %absurd = icmp ugt i64 %size, 1152921504606846975
  %never = or i1 %overflow, %absurd
  br i1 %never, label %refuse, label %ask
refuse:
  ret ptr null
ask:
  %smallest = load i64, ptr @smallest
  %small = icmp ult i64 %size, %smallest
  br i1 %small, label %plain, label %large
plain:
  %f_p = getelementptr %handler, ptr @small, i64 0, i32 2
  %f = load ptr, ptr %f_p
  %c = load ptr, ptr @small
  %p = tail call ptr %f(ptr %c, i64 %count, i64 %each)
  ret ptr %p
large:
  %class = call i64 @class_of(i64 %size)
  %kept = call ptr @take(i64 %class)
  %none = icmp eq ptr %kept, null
  br i1 %none, label %fresh, label %clear
clear:
  call void @wengert_zero(ptr %kept, i64 %size)
  ret ptr %kept
fresh:                                            ; fresh pages are zero already, and cost nothing until touched
  %full = call i64 @size_of(i64 %class)
  %asked = add i64 %full, 16
  %p1 = call ptr @calloc(i64 1, i64 %asked)
  %bad = icmp eq ptr %p1, null
  br i1 %bad, label %again, label %done
again:
  %p2 = call ptr @retry(i64 %class)
  %bad2 = icmp eq ptr %p2, null
  br i1 %bad2, label %refuse, label %clear2
clear2:
  call void @wengert_zero(ptr %p2, i64 %size)
  ret ptr %p2
done:
  %m = call ptr @marked(ptr %p1, i64 %class)
  ret ptr %p1
}

; Called for `resize` and `fromiter` only, and without the old size.
define ptr @wengert_realloc(ptr %context, ptr %block, i64 %size) {
entry:
  %first = icmp eq ptr %block, null
  br i1 %first, label %new, label %measure
new:
  %p0 = call ptr @wengert_malloc(ptr %context, i64 %size)
  ret ptr %p0
measure:
  %smallest = load i64, ptr @smallest
  %class = call i64 @class_marked(ptr %block)
  %was_small = icmp eq i64 %class, -1
  %is_small = icmp ult i64 %size, %smallest
  %both = and i1 %was_small, %is_small
  br i1 %both, label %plain, label %move
plain:
  %f_p = getelementptr %handler, ptr @small, i64 0, i32 3
  %f = load ptr, ptr %f_p
  %c = load ptr, ptr @small
  %p = tail call ptr %f(ptr %c, ptr %block, i64 %size)
  ret ptr %p
move:
  %q = call ptr @wengert_malloc(ptr %context, i64 %size)
  %null = icmp eq ptr %q, null
  br i1 %null, label %refuse, label %copy
refuse:
  ret ptr null
copy:
  %usable = call i64 @malloc_usable_size(ptr %block)
  %length = call i64 @llvm.umin.i64(i64 %usable, i64 %size)
  call void @llvm.memcpy.p0.p0.i64(ptr %q, ptr %block, i64 %length, i1 false)
  br i1 %was_small, label %drop_small, label %drop_large
drop_small:
  call void @free(ptr %block)
  ret ptr %q
drop_large:
  %full = call i64 @size_of(i64 %class)
  call void @wengert_free(ptr %context, ptr %block, i64 %full)
  ret ptr %q
}

; Zeros, by all threads.
%zeroing = type { ptr, i64 }

define internal void @zero_task(ptr %job, i64 %i) {
  %p = load ptr, ptr %job
  %size_p = getelementptr %zeroing, ptr %job, i64 0, i32 1
  %size = load i64, ptr %size_p
  %start = shl i64 %i, 18
  %rest = sub i64 %size, %start
  %length = call i64 @llvm.umin.i64(i64 %rest, i64 262144)
  %at = getelementptr i8, ptr %p, i64 %start
  call void @llvm.memset.p0.i64(ptr %at, i8 0, i64 %length, i1 false)
  ret void
}

define void @wengert_zero(ptr %p, i64 %size) {
  %job = alloca %zeroing
  store ptr %p, ptr %job
  %size_p = getelementptr %zeroing, ptr %job, i64 0, i32 1
  store i64 %size, ptr %size_p
  %up = add i64 %size, 262143
  %tasks = lshr i64 %up, 18
  call void @wengert_parallel(ptr @zero_task, ptr %job, i64 %tasks)
  ret void
}
