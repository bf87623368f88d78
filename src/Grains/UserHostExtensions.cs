using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using UPool.Cluster.Membership;
using UPool.Hosting;

namespace UPool.Grains;

/// <summary>Puts the users into a host.</summary>
public static class UserHostExtensions
{
    /// <summary>The users' table in the migration, in the health check, and in the embedded default.</summary>
    public static IHostApplicationBuilder AddUsers(this IHostApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddSingleton(UserSchema.Script);
        builder.Services.AddSingleton(new RequiredTable(UserSchema.Table, UserTable.LookAsync));
        builder.Services.AddSingleton(new EmbeddedSetup(UserSchema.CreateEmbeddedAsync));
        return builder;
    }
}
