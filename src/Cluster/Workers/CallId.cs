using System.Buffers.Binary;
using System.Security.Cryptography;

namespace UPool.Cluster.Workers;

/// <summary>The ids of calls, by which their callers can stop them.</summary>
internal static class CallId
{
    // A random number for each process, and a count: as unique as a random id, without its system call.
    private static readonly long Process = BinaryPrimitives.ReadInt64LittleEndian(RandomNumberGenerator.GetBytes(8));
    private static long _last;

    /// <summary>An id that no call has had.</summary>
    public static Guid Next()
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, Process);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], Interlocked.Increment(ref _last));
        return new Guid(bytes);
    }

    /// <summary>Makes a call under an id, which travels with this call and with none that follows it. A synchronous
    /// exception, as Orleans throws for some failures, is returned as a faulted task.</summary>
    public static Task<T> Call<TGrain, T>(
        Guid id,
        Func<TGrain, Deadline, CancellationToken, Task<T>> call,
        TGrain grain,
        Deadline deadline,
        CancellationToken cancellationToken)
    {
        RequestContext.Set(RunningCalls.ContextKey, id);
        try
        {
            return call(grain, deadline, cancellationToken);
        }
        catch (Exception exception)
        {
            return Task.FromException<T>(exception);
        }
        finally
        {
            RequestContext.Remove(RunningCalls.ContextKey);
        }
    }
}
