namespace UPool.Management;

/// <summary>The body of every reply: the original uPool's envelope, and nothing else in it.</summary>
/// <param name="Code">1 when it was done, 0 when it was not.</param>
/// <param name="Msg">What happened, in a few words for a person.</param>
public sealed record Envelope(int Code, string Msg);

/// <summary>The envelope around something.</summary>
/// <param name="Code">1 when it was done, 0 when it was not.</param>
/// <param name="Msg">What happened, in a few words for a person.</param>
/// <param name="Data">What was asked for.</param>
public sealed record Envelope<T>(int Code, string Msg, T Data);
