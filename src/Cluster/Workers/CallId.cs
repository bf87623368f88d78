using System.Buffers.Binary;
using System.Security.Cryptography;

namespace UPool.Cluster.Workers;

/// <summary>The ids of calls, by which their callers can have them stopped.</summary>
internal static class CallId
{
    // Random for each process and counted in it: as unique as a random id, which would cost a call of the system.
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

    /// <summary>Calls under an id, which travels with this call and with none that follows it. What is thrown at the
    /// call already, as Orleans throws some failures, arrives with the task.</summary>
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
