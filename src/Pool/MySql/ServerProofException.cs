using System.Security.Authentication;

namespace UPool.MySql;

/// <summary>The reason why a server has not proved its identity.</summary>
internal enum ServerProofFault
{
    /// <summary>It sent no certificate.</summary>
    None,

    /// <summary>Its certificate is for another name.</summary>
    Name,

    /// <summary>Neither the system nor <c>SslCa</c> knows the authority.</summary>
    Authority,

    /// <summary>A certificate of the chain has expired or is not valid yet.</summary>
    Time,

    /// <summary>The authority has revoked it.</summary>
    Revoked,

    /// <summary>The authority's revocation list cannot be fetched.</summary>
    Revocation,

    /// <summary>It is not for use by a server, or breaks another rule.</summary>
    Purpose,

    /// <summary>The file of <c>SslCa</c> cannot be read.</summary>
    AuthorityFile,
}

/// <summary>A server has not proved its identity. The driver passes this exception on inside its own.</summary>
internal sealed class ServerProofException(ServerProofFault fault) : AuthenticationException($"{fault}")
{
    /// <summary>The reason.</summary>
    public ServerProofFault Fault => fault;
}
