using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Orleans.Networking.Shared;
using Orleans.Runtime.Messaging;

namespace UPool.Cluster.Workers;

/// <summary>Classifies the exceptions of a call. A worker answers with values, so an exception comes from the
/// transport, or it is a bug.</summary>
internal static class WorkerFailures
{
    /// <summary>How long a silo's answer may travel after the deadline, at which the silo ends the request and reports
    /// how. INV-6 allows 50 ms past the deadline, of which the HTTP front keeps the rest.</summary>
    public static readonly TimeSpan AnswerGrace = TimeSpan.FromMilliseconds(25);

    /// <summary>
    /// The detail of a reply if a silo has no such method: it runs an earlier version, as some silos do while processes
    /// are replaced one by one.
    /// </summary>
    public const string UnknownCall = "a silo is of a version that does not know this call";

    /// <summary>
    /// The call or its answer was lost. Orleans rethrows here all failures of its connections: rejections and
    /// <see cref="SiloUnavailableException"/>, failed connects, and a closed connection as a cancellation that no
    /// caller asked for. A timeout is one too: our deadline comes before Orleans', so it can only be that of a connect.
    /// </summary>
    public static bool IsLost(Exception exception) => exception is OrleansMessageRejectionException
        or ConnectionFailedException or SocketConnectionException or ClientNotAvailableException
        or TimeoutException or OperationCanceledException or SocketException or IOException or ObjectDisposedException;

    /// <summary>A silo rejected the call before it ran.</summary>
    public static bool IsOverload(Exception exception) =>
        exception is GatewayTooBusyException or LimitExceededException;

    /// <summary>
    /// The silo refused for its own reasons, before anything was sent to the database: it stops, or has no permits.
    /// Another silo may well serve the call, even a write.
    /// </summary>
    public static bool IsWorthAnotherSilo<T>(Reply<T> reply) => reply is
    {
        Status: ReplyStatus.Refused,
        Refusal: RefusalReason.Draining or RefusalReason.NoPermits,
    };

    public static Reply<T> Overloaded<T>() => Reply.Refused<T>(RefusalReason.QueueFull, "the silo is overloaded");

    public static Reply<T> Unreachable<T>() => new()
    {
        Status = ReplyStatus.Unavailable,
        Refusal = RefusalReason.Unavailable,
        Detail = "no silo could be reached",
    };

    public static Reply<T> DeadlineExceeded<T>() =>
        Reply.Ended<T>(ReplyStatus.DeadlineExceeded, "no answer by the deadline");

    public static Reply<T> ReadFailed<T>(Exception exception, ILogger logger)
    {
        if (IsOverload(exception)) return Overloaded<T>();
        if (IsLost(exception)) return Unreachable<T>();

        // Orleans throws this for a request whose type it cannot find.
        if (exception is TypeLoadException)
        {
            WorkerClientLog.CallUnknown(logger);
            return Reply.Ended<T>(ReplyStatus.Failed, UnknownCall);
        }

        WorkerClientLog.CallFailed(logger, exception);
        return Reply.Ended<T>(ReplyStatus.Failed);
    }
}
