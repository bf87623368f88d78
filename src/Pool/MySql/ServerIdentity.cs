using System.Security.Cryptography;
using System.Text;

namespace UPool.MySql;

/// <summary>
/// The server that a session is with. After a switch-over the same address leads to another server, where a connection
/// id of the former one identifies nothing.
/// </summary>
/// <param name="Name">The server's own name for itself (<see cref="DatabaseFamily.Identity"/>), at most
/// <see cref="MaxNameLength"/> ASCII characters; null while it is unknown. Two servers with different names certainly
/// differ.</param>
/// <param name="Witness">A random value in the register, if there is one, that lives as long as the server does. It
/// distinguishes a server from a copy with the same name, and one start of a server from the next.</param>
internal readonly record struct ServerIdentity(string? Name, string? Witness = null)
{
    /// <summary>The width of the register's column.</summary>
    public const int MaxNameLength = 64;

    /// <summary>Whether the two certainly are different servers, so that one cannot answer for the other's
    /// sessions.</summary>
    public bool IsOther(ServerIdentity other) =>
        Name is not null && other.Name is not null && !string.Equals(Name, other.Name, StringComparison.Ordinal);

    /// <summary>Whether there is evidence that the address leads to another server, or that the server has
    /// restarted.</summary>
    public bool DiffersFrom(ServerIdentity other) =>
        IsOther(other) || (Witness is not null && other.Witness is not null && Witness != other.Witness);

    /// <summary>The identity from a server's answer.</summary>
    public static ServerIdentity Of(string? answer) => new(
        answer is null ? null
            : answer.Length <= MaxNameLength && answer.All(static c => c is > ' ' and <= '~') ? answer
            : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(answer))));
}
