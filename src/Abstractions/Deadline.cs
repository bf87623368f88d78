using System.Diagnostics.CodeAnalysis;

namespace UPool;

/// <summary>
/// The moment by which a request has its result or a typed error (INV-6). Measured on the monotonic clock of this
/// process; it crosses to another process as the remaining time, so clocks need not agree.
/// </summary>
/// <remarks>
/// <see langword="default"/> means "no deadline". Never store a deadline: its monotonic timestamp is meaningless on
/// another machine or after a restart.
/// </remarks>
public readonly struct Deadline : IEquatable<Deadline>
{
    // A timestamp of the clock; 0 means "none", so that default(Deadline) is "none".
    private readonly long _timestamp;

    private Deadline(long timestamp) => _timestamp = timestamp;

    /// <summary>No deadline.</summary>
    public static Deadline None => default;

    /// <summary>Whether there is no deadline.</summary>
    public bool IsNone => _timestamp == 0;

    /// <summary>The monotonic timestamp, in the frequency of its clock; 0 when there is no deadline.</summary>
    internal long Timestamp => _timestamp;

    /// <summary>A deadline <paramref name="time"/> ahead.</summary>
    /// <param name="time">The time left. Zero or less gives a deadline that has passed;
    /// <see cref="Timeout.InfiniteTimeSpan"/> gives none.</param>
    /// <param name="clock">The clock; <see cref="TimeProvider.System"/> when null.</param>
    public static Deadline After(TimeSpan time, TimeProvider? clock = null)
    {
        if (time == Timeout.InfiniteTimeSpan) return None;

        clock ??= TimeProvider.System;
        double ticks = Math.Max(time.TotalSeconds, 0) * clock.TimestampFrequency;
        long now = clock.GetTimestamp();
        long at = ticks >= long.MaxValue - now ? long.MaxValue : now + (long)ticks;

        // 0 means "none": a deadline that falls on it (a fake clock at its origin) moves by one tick.
        return new Deadline(at == 0 ? 1 : at);
    }

    /// <summary>The time left, never negative; <see cref="Timeout.InfiniteTimeSpan"/> when there is no
    /// deadline.</summary>
    /// <param name="clock">The clock it was made with; <see cref="TimeProvider.System"/> when null.</param>
    public TimeSpan Remaining(TimeProvider? clock = null)
    {
        if (IsNone) return Timeout.InfiniteTimeSpan;

        clock ??= TimeProvider.System;
        long now = clock.GetTimestamp();
        return now >= _timestamp ? TimeSpan.Zero : clock.GetElapsedTime(now, _timestamp);
    }

    /// <summary>Whether the deadline has passed.</summary>
    /// <param name="clock">The clock it was made with; <see cref="TimeProvider.System"/> when null.</param>
    public bool HasPassed(TimeProvider? clock = null) =>
        !IsNone && (clock ?? TimeProvider.System).GetTimestamp() >= _timestamp;

    /// <summary>The earlier of the two.</summary>
    public static Deadline Earlier(Deadline one, Deadline other) =>
        one.IsNone ? other : other.IsNone || one._timestamp <= other._timestamp ? one : other;

    /// <summary>The later of the two.</summary>
    internal static Deadline Later(Deadline one, Deadline other) =>
        one.IsNone || other.IsNone ? None : one._timestamp >= other._timestamp ? one : other;

    /// <inheritdoc/>
    public bool Equals(Deadline other) => _timestamp == other._timestamp;

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is Deadline other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _timestamp.GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => IsNone ? "none" : $"in {Remaining().TotalMilliseconds:0} ms";

    /// <summary>Whether both are the same moment.</summary>
    public static bool operator ==(Deadline left, Deadline right) => left.Equals(right);

    /// <summary>Whether they are different moments.</summary>
    public static bool operator !=(Deadline left, Deadline right) => !left.Equals(right);
}
